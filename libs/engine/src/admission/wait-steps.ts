// When a sequence's turn comes: steps until one of the slots takes it, after everything ahead of it.

/**
 * `runningSteps`: what each busy slot has left; `ahead`: how many sequences come first and the steps they need together.
 *
 * Exact while no more come first than slots are busy with something: the turn comes with the (ahead + 1)th release. Beyond, slots are
 * seen as dividing the work ahead evenly, less the part that need not be finished, only begun, when the turn comes. Starting k equal pieces on n slots
 * takes floor(k / n) of their length; the average of it over k is k/n - (n - 1)/2n, which is what is used. Never smaller for more
 * ahead, in steps or in number. Cost: slots x log(slots).
 */
export function stepsUntilTurn(
  ahead: { readonly sequences: number; readonly steps: number },
  runningSteps: readonly number[],
  slots: number,
): number {
  const count = Math.max(1, slots, runningSteps.length);
  const free = new Array<number>(count - runningSteps.length).fill(0);
  const releases = [...free, ...runningSteps.toSorted((a, b) => a - b)];
  const mean = ahead.sequences > 0 ? ahead.steps / ahead.sequences : 0;
  const begunShare = (count + 1) / (2 * count);
  let released = 0;
  let sum = 0;
  for (const release of releases) {
    released += 1;
    sum += release;
    if (released >= ahead.sequences + 1) return release;
    const needed = Math.max(0, ahead.steps - mean * Math.max(0, begunShare * released - 1));
    const turn = Math.max(release, (needed + sum) / released);
    if (turn <= (releases[released] ?? Number.POSITIVE_INFINITY)) return turn;
  }
  throw new Error('a turn always comes');
}
