package esdk

import "context"

// RunPipeline runs a pipeline of those stages, which is tested by itself.
func RunPipeline(ctx context.Context, workers, slots int, fill func(slot int) (bool, error), work func(slot int) error, hash func(slot int), emit func(slot int) error) error {
	p := pipeline{fill, work, hash, emit}
	return p.run(ctx, workers, slots)
}
