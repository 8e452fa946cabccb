// API keys as the admin API shows and takes them. Their text is no part of a key: it is answered once, when a key is made.
import { z } from 'zod';
import { keyLimits } from './limits.js';
import { allScopes, scope } from './scopes.js';

/** The year 2100. What shall last longer has no end. */
const latestMs = 4_102_444_800_000;

/** Shown in the audit and in refusals: one line, and nothing that looks like something else. */
export const keyName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be 1 to 64 letters, digits, dots, dashes, underscores, beginning with a letter or digit',
  );

export const createApiKey = z.strictObject({
  name: keyName,
  scopes: z
    .array(scope)
    .min(1)
    .max(allScopes.length)
    .refine((scopes) => new Set(scopes).size === scopes.length, { message: 'must name each scope once' }),
  /** Null = the defaults of the gateways. */
  limits: keyLimits.nullable().default(null),
  /** Milliseconds since the Unix epoch; null = no end. Left out: the end of the key that asks. */
  expiresAt: z.int().min(0).max(latestMs).nullable().optional(),
});

/** Replaces all limits of a key; null = the defaults of the gateways. */
export const patchApiKey = z.strictObject({ limits: keyLimits.nullable() });

export const apiKeyResource = z.object({
  id: z.string(),
  name: z.string(),
  /** First characters of its text, by which people recognise it. */
  prefix: z.string(),
  state: z.enum(['active', 'expired', 'revoked']),
  scopes: z.array(z.string()),
  limits: keyLimits.nullable(),
  createdBy: z.string(),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  revokedAt: z.number().nullable(),
  /** True for the key that asks. */
  self: z.boolean(),
  revision: z.int(),
});

/** `key`: its text, in the first answer; null in the answer to a repeat of the request. */
export const createdApiKey = apiKeyResource.extend({ key: z.string().nullable() });

export type CreateApiKey = z.infer<typeof createApiKey>;
export type ApiKeyResource = z.infer<typeof apiKeyResource>;
export type CreatedApiKey = z.infer<typeof createdApiKey>;
