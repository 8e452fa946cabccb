// Deciding a rollout again from its stored evidence: what is asked, and what comes back.
import { z } from 'zod';
import { planInput } from './plan.js';

/** `plan`: laid over the plan that the rollout ran by. Without it the recorded decisions are made again. */
export const replayInput = z.strictObject({ plan: planInput.optional() });

const made = z.object({ transition: z.string(), toPhase: z.string(), weight: z.number(), reason: z.record(z.string(), z.unknown()) });

export const replayResource = z.object({
  rolloutId: z.string(),
  /** `recorded`: the plan it ran by; `other`: what another plan would have done. */
  plan: z.enum(['recorded', 'other']),
  /** Oldest first. `seq`: the event's number; null where the other plan moves at a look that changed nothing. `judged`: from windows, or (evidence of before) as recorded. */
  decisions: z.array(
    z.object({
      seq: z.number().nullable(),
      at: z.number(),
      recorded: made,
      replayed: made,
      same: z.boolean(),
      judged: z.enum(['windows', 'recorded']),
    }),
  ),
  /** Stored looks that changed nothing, judged again. */
  looks: z.object({ compared: z.number(), different: z.number() }),
  /** Everything that was compared came out the same, byte for byte. */
  same: z.boolean(),
  /** Where the other plan leaves what happened; what would have followed is unknown. Null: it does the same to the end. */
  leavesAt: z.number().nullable(),
  note: z.string(),
});

export type ReplayInput = z.infer<typeof replayInput>;
export type ReplayResource = z.infer<typeof replayResource>;
