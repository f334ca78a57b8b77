"""Raw videos become verified face datasets with landmarks, action units and AU masks."""
