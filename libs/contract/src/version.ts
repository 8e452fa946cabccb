// The wire form of a version: how a model is served. Unknown fields are refused by name.
import { z } from 'zod';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');

export const llamaEngineSpec = z.strictObject({
  kind: z.literal('llama'),
  /** Path of a GGUF file, relative to one of the gateway's model roots. */
  file: z
    .string()
    .min(1)
    .max(1024)
    // The gateway checks again, with links followed; here it is told before a rollout starts.
    .refine((path) => !/^([\\/]|[A-Za-z]:)|\0/.test(path) && !path.split(/[\\/]/).includes('..'), {
      message: 'must be a path relative to a model root (SERIN_MODEL_ROOTS), without ".."',
    }),
  sha256: sha256.optional(),
  contextSize: z.int().min(64).max(1_048_576).default(4096),
  gpuLayers: z.int().min(0).max(1000).default(0),
  parallel: z.int().min(1).max(256).default(4),
  threads: z.int().min(1).max(256).optional(),
  /** LoRA adapters (GGUF, under the model roots), applied together to every request of the version. */
  lora: z
    .array(z.strictObject({ file: z.string().min(1).max(1024), sha256: sha256.optional(), scale: z.number().min(-10).max(10).default(1) }))
    .min(1)
    .max(8)
    .optional(),
  /** The engine process is ended when it holds more than this. Default: what the file, its cache and buffers need, with room to spare. */
  memoryLimitMb: z.int().min(64).max(4_194_304).optional(),
});

export const openaiEngineSpec = z.strictObject({
  kind: z.literal('openai'),
  baseUrl: z.url({ protocol: /^https?$/ }).max(2048),
  /** Base URLs of more replicas that serve the same model: requests go to the one with the fewest, failing ones are left out. */
  endpoints: z
    .array(z.url({ protocol: /^https?$/ }).max(2048))
    .min(1)
    .max(63)
    .refine((urls) => new Set(urls).size === urls.length, { message: 'must name each replica once' })
    .optional(),
  /** Requests at once at each endpoint of one gateway process; more wait in Serin's own queue. Default: what the server tells of itself, else 1,024. */
  maxConcurrent: z.int().min(1).max(1024).optional(),
  model: z.string().min(1).max(256),
  /** Name of an environment variable of the gateway that holds the upstream's key; the key itself is never stored. */
  credentialEnv: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]*$/)
    .optional(),
  /**
   * Log probabilities that Serin asks for by itself, to bound the output's entropy: how many per token, and of which share of the requests.
   * They cost the upstream speed (20 of every token: 14% of a llama-server's). Default: 20 of a tenth.
   */
  logprobs: z.strictObject({ top: z.int().min(0).max(20), share: z.number().min(0).max(1) }).optional(),
});

export const engineSpec = z.discriminatedUnion('kind', [llamaEngineSpec, openaiEngineSpec]);

export const samplingSpec = z.strictObject({
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().gt(0).max(1).optional(),
  topK: z.int().min(0).max(1000).optional(),
  minP: z.number().min(0).max(1).optional(),
  maxTokens: z.int().min(1).max(131_072).optional(),
  seed: z.int().optional(),
  stop: z.array(z.string().min(1).max(256)).max(16).optional(),
});

/** What a version's tokens cost, per million, in any currency. Two versions are compared by the bare numbers, so all of a model name the same one. */
export const tokenPrice = z.strictObject({
  inputPerMillion: z.number().min(0).max(1_000_000),
  outputPerMillion: z.number().min(0).max(1_000_000),
  /** ISO 4217, for people. */
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'three capital letters, as in "EUR"')
    .optional(),
});

/** What makes a version what it is; its canonical JSON is hashed into the content digest. */
export const versionSpec = z.strictObject({
  engine: engineSpec,
  sampling: samplingSpec.default({}),
  systemPrompt: z.string().max(65_536).optional(),
  /** Absent: the version's cost is not measured. */
  price: tokenPrice.optional(),
});

export const lineage = z.record(z.string().max(64), z.string().max(1024));

export const versionLabel = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'letters, digits, dot, dash and underscore, at most 63');
export const modelName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,126}$/, 'letters, digits, dot, dash, slash and underscore, at most 127');

export type EngineSpec = z.infer<typeof engineSpec>;
export type LlamaEngineSpec = z.infer<typeof llamaEngineSpec>;
export type OpenaiEngineSpec = z.infer<typeof openaiEngineSpec>;
export type VersionSpec = z.infer<typeof versionSpec>;
export type TokenPrice = z.infer<typeof tokenPrice>;
export type SamplingSpec = z.infer<typeof samplingSpec>;
