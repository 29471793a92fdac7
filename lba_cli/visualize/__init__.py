"""Pictures of what a network sees: correspondences, ranked lists, masks, and the curves of a run."""
