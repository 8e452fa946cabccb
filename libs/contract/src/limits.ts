// How much a key may ask of the gateways. Null = without limit.
import { z } from 'zod';

const mostPerMinute = 1_000_000_000;
const limit = (most: number) => z.int().min(1).max(most).nullable().default(null);

/** Over all gateways of a database together. What is left out is not limited. */
export const keyLimits = z.strictObject({
  requestsPerMinute: limit(mostPerMinute),
  /** Prompt and answer, as the engine counts them. */
  tokensPerMinute: limit(mostPerMinute),
  concurrentRequests: limit(1_000_000),
});

export type KeyLimits = z.infer<typeof keyLimits>;

export const unlimited: KeyLimits = { requestsPerMinute: null, tokensPerMinute: null, concurrentRequests: null };
