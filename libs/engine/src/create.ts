// From a version's engine spec to an engine: the one place that knows which adapter serves which kind.
import { fail, type Outcome, ok } from '#libs/base';
import type { Log } from '#libs/telemetry';
import type { InferenceEngine } from './engine.js';
import { HttpEngine } from './http/http-engine.js';
import { resolveModelFile } from './model-files.js';
import { type Adapter, NativeEngine } from './native/native-engine.js';

/** The engine part of a version spec, as the contract validates it. */
export type EngineSpec =
  | {
      readonly kind: 'llama';
      readonly file: string;
      readonly sha256?: string | undefined;
      readonly contextSize: number;
      readonly gpuLayers: number;
      readonly parallel: number;
      readonly threads?: number | undefined;
      readonly lora?: readonly { readonly file: string; readonly sha256?: string | undefined; readonly scale: number }[] | undefined;
      readonly memoryLimitMb?: number | undefined;
    }
  | {
      readonly kind: 'openai';
      readonly baseUrl: string;
      readonly endpoints?: readonly string[] | undefined;
      readonly maxConcurrent?: number | undefined;
      readonly model: string;
      readonly credentialEnv?: string | undefined;
      readonly logprobs?: { readonly top: number; readonly share: number } | undefined;
    };

/** Of upstreams: enough to see a drift within minutes, too little to be felt. */
const usualLogprobs = { top: 20, share: 0.1 };

export interface EngineEnvironment {
  readonly modelRoots: readonly string[];
  /** Value of an environment variable that a spec names, for upstream credentials. */
  readonly credential: (name: string) => string | undefined;
  readonly log: Log;
  /** Free memory of the GPUs, null when nobody knows. */
  readonly freeGpuBytes?: () => number | null;
}

/** An idle engine for the spec, or a fault that names the field. Loading is the caller's next step. */
export async function createEngine(spec: EngineSpec, environment: EngineEnvironment): Promise<Outcome<InferenceEngine>> {
  if (spec.kind === 'llama') {
    const file = await resolveModelFile(spec.file, environment.modelRoots);
    if (!file.ok) return file;
    const lora: Adapter[] = [];
    for (const [index, adapter] of (spec.lora ?? []).entries()) {
      const found = await resolveModelFile(adapter.file, environment.modelRoots);
      if (!found.ok) return fail({ ...found.fault, field: `spec.engine.lora.${index}.file` });
      lora.push({ ...adapter, file: found.value });
    }
    return ok(
      new NativeEngine({
        spec: { ...spec, file: file.value, lora },
        log: environment.log,
        ...(environment.freeGpuBytes ? { freeGpuBytes: environment.freeGpuBytes } : {}),
      }),
    );
  }
  const credential = spec.credentialEnv === undefined ? undefined : environment.credential(spec.credentialEnv);
  if (spec.credentialEnv !== undefined && credential === undefined) {
    return fail({
      code: 'version.credential-missing',
      message: `The gateway has no environment variable ${spec.credentialEnv} for the upstream's credential.`,
      field: 'spec.engine.credentialEnv',
      remedy: `Set ${spec.credentialEnv} for the gateway and restart it.`,
    });
  }
  const { top, share } = spec.logprobs ?? usualLogprobs;
  const { baseUrl, endpoints, maxConcurrent, model } = spec;
  return ok(new HttpEngine({ baseUrl, endpoints, maxConcurrent, model, credential, sampling: { topLogprobs: top, share } }));
}
