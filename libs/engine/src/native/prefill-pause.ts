// How long running answers stand still for the prompts of others in one step: a beat for each newcomer, within a bound. Pure.

/** A pause that readers hardly see. */
export const pauseOfOneMs = 50;
/** The longest that a burst may cost; its whole prompts in one batch would stop every reader for a second and more. */
export const longestPauseMs = 400;

/**
 * Milliseconds that one step may spend on prompts beside running answers, while `opening` answers have no token yet. Running answers lose the same
 * time to a prompt in one pause or in many, but a newcomer's first token waits for all of them, and a burst that comes in drop by drop also ends
 * so, with batches that are never full. One newcomer, however long its prompt, costs an even 50 ms a token.
 */
export function prefillPauseMs(opening: number): number {
  return Math.min(longestPauseMs, pauseOfOneMs * Math.max(1, opening));
}
