"""The main job: audit, prove."""
