package esdk

import "context"

// RunPipeline runs a pipeline of those stages, which is tested by itself.
func RunPipeline(ctx context.Context, workers, slots int, fill func(slot int) (bool, error), work func(slot int) error, emit func(slot int) error) error {
	p := pipeline{fill, work, emit}
	return p.run(ctx, workers, slots)
}
