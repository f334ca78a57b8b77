"""OpenFace 2's way from 68 points to action units, step by step, batched, on the CPU or on cuda.

`model_files` reads what OpenFace publishes; `corrections` moves another landmarker's points to
where OpenFace's would be; `point_distribution` fits its 3-D face to the points; `alignment` and
`face_mask` cut the face out of the frame; `fhog` describes it; `predictors` score the description;
`medians` remember how the person usually looks; `timeline` turns the scores of a video into labels.
`facekit.action_units.openface` runs them in this order.
"""
