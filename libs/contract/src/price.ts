// What a plan is expected to cost before it starts: answers, time, and what it cannot see.
import { z } from 'zod';

/** Candidate answers and seconds; null: not expected ever. */
const cost = z.object({ responses: z.number(), seconds: z.number() }).nullable();

/** Answer of `POST /models/{model}/rollouts/price`. Medians under the traffic of the last `knownS` seconds; lists run over the steps. */
export const priceResource = z.object({
  /** Requests per second that stable answers. */
  perS: z.number(),
  knownS: z.number(),
  /** A healthy candidate is expected to be proven in every step before its deadline. */
  decides: z.boolean(),
  /** Of a healthy candidate over all steps; null when a step is not expected to end. */
  total: z.object({ seconds: z.number(), candidateResponses: z.number() }).nullable(),
  steps: z.array(
    z.object({ weightPct: z.number(), candidatePerS: z.number(), untilDeadline: z.number(), expectedS: z.number().nullable() }),
  ),
  checks: z.array(
    z.object({
      check: z.string(),
      weight: z.number(),
      unit: z.enum(['ratio', 'points']),
      rollback: z.array(z.object({ effect: z.number(), steps: z.array(cost) })),
      proof: z.array(cost).nullable(),
      detectable: z.array(z.number().nullable()),
    }),
  ),
  problems: z.array(
    z.object({ check: z.string().nullable(), step: z.int().nullable(), code: z.string(), message: z.string(), remedy: z.string() }),
  ),
});

export type PriceResource = z.infer<typeof priceResource>;
