"""The only floor that calls a model: tasks, targets, scores and the engine that batches, masks and differentiates."""
