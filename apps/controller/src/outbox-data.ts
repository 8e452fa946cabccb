// What the world is told about a decision: the `data` of outbox events of type `rollout.*`.
import type { RolloutEventRecord, RolloutRecord } from '#libs/storage';
import { eventSentence } from './sentence.js';

/** JSON-safe. `rollout` may be older than the event: phase and weight come from the event. */
export function outboxData(rollout: RolloutRecord, event: RolloutEventRecord, publicUrl: string): Record<string, unknown> {
  const { evidence } = event;
  return {
    rolloutId: rollout.id,
    model: rollout.model,
    stable: { id: rollout.stableVersionId, label: rollout.stableLabel },
    candidate: { id: rollout.candidateVersionId, label: rollout.candidateLabel },
    transition: event.transition,
    fromPhase: event.fromPhase,
    phase: event.toPhase,
    weightPct: event.weight * 100,
    reason: event.reason,
    sentence: sentenceOf(rollout, event),
    actor: event.actor,
    at: event.at,
    generation: event.generation,
    evidence: evidence
      ? {
          findings: evidence.findings,
          combined: evidence.combined,
          promotion: evidence.promotion,
          counts: evidence.counts,
          gate: evidence.gate,
        }
      : null,
    links: { dashboard: `${publicUrl}/rollouts/${rollout.id}`, api: `${publicUrl}/api/v1/rollouts/${rollout.id}` },
  };
}

/** An event of a rollout in words. */
export function sentenceOf(rollout: RolloutRecord, event: Omit<RolloutEventRecord, 'id' | 'seq' | 'at'>): string {
  return eventSentence(event, { stable: rollout.stableLabel, candidate: rollout.candidateLabel, plan: rollout.plan });
}
