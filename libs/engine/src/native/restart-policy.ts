// When an engine that died is started again, and when its version is given up. Pure: the caller tells the time and does the waiting.

export interface RestartRule {
  readonly firstBackOffMs: number;
  readonly longestBackOffMs: number;
  readonly crashWindowMs: number;
  /** More deaths than this within the window, or more failed starts than this in a row, and the version is given up. */
  readonly toleratedCrashes: number;
}

export const usualRestartRule: RestartRule = {
  firstBackOffMs: 200,
  longestBackOffMs: 10_000,
  crashWindowMs: 60_000,
  toleratedCrashes: 5,
};

/** What is remembered between deaths. Bounded by the rule, whatever happens. */
export interface RestartHistory {
  /** Monotonic times of the deaths within the last window, oldest first. */
  readonly deathsMs: readonly number[];
  /** Deaths since the engine last served for a whole window: they set the back-off. */
  readonly streak: number;
  /** Starts in a row that never became ready. */
  readonly failedStarts: number;
}

export const noDeaths: RestartHistory = { deathsMs: [], streak: 0, failedStarts: 0 };

export type RestartDecision =
  | { readonly kind: 'restart'; readonly afterMs: number }
  /** `reason` completes "the version is given up: ". */
  | { readonly kind: 'giveUp'; readonly reason: string };

/** `servedMs`: how long the engine had been ready when it died; null for a start that never became ready. */
export interface Death {
  readonly atMs: number;
  readonly servedMs: number | null;
}

/** One death, a crash or a failed start. An engine that served for a whole window before it died begins anew with the shortest back-off. */
export function afterDeath(
  history: RestartHistory,
  death: Death,
  rule: RestartRule = usualRestartRule,
): { readonly decision: RestartDecision; readonly history: RestartHistory } {
  const deathsMs = [...history.deathsMs.filter((atMs) => atMs >= death.atMs - rule.crashWindowMs), death.atMs];
  const streak = death.servedMs !== null && death.servedMs >= rule.crashWindowMs ? 1 : history.streak + 1;
  // A start may fail so slowly that no two failures share a window; it would be tried for ever.
  const failedStarts = death.servedMs === null ? history.failedStarts + 1 : 0;
  return { decision: decide(deathsMs.length, failedStarts, streak, rule), history: { deathsMs, streak, failedStarts } };
}

function decide(deaths: number, failedStarts: number, streak: number, rule: RestartRule): RestartDecision {
  if (deaths > rule.toleratedCrashes) return { kind: 'giveUp', reason: `it died ${deaths} times within ${rule.crashWindowMs / 1000} s` };
  if (failedStarts > rule.toleratedCrashes) return { kind: 'giveUp', reason: `${failedStarts} starts in a row failed` };
  return { kind: 'restart', afterMs: Math.min(rule.longestBackOffMs, rule.firstBackOffMs * 2 ** Math.min(streak - 1, 30)) };
}
