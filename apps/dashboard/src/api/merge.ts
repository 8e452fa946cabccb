// What the stream brings is laid over what was fetched: newest wins, nothing twice, nothing without bound.
import type { EvidenceResource, RolloutEventResource, RolloutResource } from '#libs/contract';

const mostEvidence = 2_000;

/** The newer of two states of one rollout: a late answer must not undo a newer message. */
export function newer(known: RolloutResource | undefined, come: RolloutResource): RolloutResource {
  return known && known.revision > come.revision ? known : come;
}

/** Replaces the rollout in the list, or puts it first. */
export function withRollout(list: readonly RolloutResource[], come: RolloutResource): RolloutResource[] {
  return list.some((known) => known.id === come.id)
    ? list.map((known) => (known.id === come.id ? newer(known, come) : known))
    : [come, ...list];
}

/** Events by sequence number, each once. */
export function withEvent(events: readonly RolloutEventResource[], come: RolloutEventResource): RolloutEventResource[] {
  if (events.some((known) => known.seq === come.seq)) return [...events];
  return [...events, come].toSorted((a, b) => a.seq - b.seq);
}

/** Evidence in time order, each instant once. Beyond 2,000 looks the older half keeps every second one. */
export function withEvidence(looks: readonly EvidenceResource[], come: EvidenceResource): EvidenceResource[] {
  if (looks.some((known) => known.at === come.at)) return [...looks];
  const all = [...looks, come].toSorted((a, b) => a.at - b.at);
  if (all.length <= mostEvidence) return all;
  const half = Math.floor(all.length / 2);
  return all.filter((_look, index) => index >= half || index % 2 === 0);
}

/** Live ones first, then by their start, newest first. */
export function inOrder(list: readonly RolloutResource[]): RolloutResource[] {
  return list.toSorted((a, b) => Number(a.endedAt !== null) - Number(b.endedAt !== null) || b.createdAt - a.createdAt);
}
