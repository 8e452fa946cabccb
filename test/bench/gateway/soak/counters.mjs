// The gateway's own count of how requests ended, held against what the clients saw.

/** End states over all versions, and what began; null when the gateway counts nothing. `requests` as `/readyz?verbose` shows it. */
export function endStates(requests) {
  if (!requests) return null;
  const states = {};
  const parts = [requests.withoutVersion, requests.olderVersions, ...Object.values(requests.versions).map(({ counts }) => counts)];
  for (const part of parts) for (const [name, count] of Object.entries(part)) states[name] = (states[name] ?? 0) + count;
  return { begun: requests.begun, inFlight: requests.inFlight, states };
}

/** What came between two readings. */
export function since(before, after) {
  if (before === null || after === null) return null;
  const states = Object.fromEntries(Object.entries(after.states).map(([name, count]) => [name, count - (before.states[name] ?? 0)]));
  return { begun: after.begun - before.begun, inFlight: after.inFlight, states };
}

/**
 * What does not add up, each 0 when all is well.
 * @returns {{ended: number, clients: number, ok: number} | null} `ended`: begun but in no end state, or in two. `clients`: asked by clients and
 *   never begun; a client that left at once may not have been heard (`leftEarly` of them at most). `ok`: good answers by the clients' count that
 *   are not in the gateway's; the gateway may count more, for clients that left just after the end.
 */
export function mismatch(counted, seen) {
  if (counted === null) return null;
  const ended = Object.values(counted.states).reduce((sum, count) => sum + count, 0);
  const unheard = seen.sent - counted.begun;
  return {
    ended: Math.abs(counted.begun - ended) + counted.inFlight,
    clients: unheard < 0 ? -unheard : Math.max(0, unheard - seen.leftEarly),
    ok: Math.max(0, seen.ok - counted.states.ok) + Math.max(0, counted.states.ok - seen.ok - seen.left),
  };
}
