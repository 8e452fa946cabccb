// Which server an upstream is, and what it says of the model: its list of models, then the page that only its family has.
import type { EngineFault } from '../engine.js';
import type { Connection, Page } from './connection.js';
import type { Dialect } from './dialect.js';
import { faultOf } from './faults.js';

export interface Identity {
  readonly dialect: Dialect;
  readonly version: string | null;
  readonly contextSize: number | null;
  readonly vocabularySize: number | null;
  readonly maxParallel: number | null;
}

const largestPageBytes = 4 << 20;
const listedNames = 10;

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const object = (value: unknown): Fields => (isObject(value) ? value : {});
const count = (value: unknown): number | null => (typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : null);
const string = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value.slice(0, 100) : null);

/** The upstream's list of models; null when it has none that can be read (a server without the page is fine). */
export interface ModelList {
  readonly entry: Fields | null;
  readonly names: readonly string[];
}

/** Reads the page `models`. A fault when it lists models and ours is not among them. */
export function modelIn(page: Page, model: string): ModelList | EngineFault | null {
  const data = object(page.status === 200 ? json(page.text) : null)['data'];
  if (!Array.isArray(data)) return null;
  const entries = data.filter(isObject).filter((entry) => typeof entry['id'] === 'string');
  const names = entries.map((entry) => String(entry['id']));
  if (names.length === 0) return null;
  const known = (entry: Fields): boolean =>
    entry['id'] === model || entry['id'] === `${model}:latest` || (Array.isArray(entry['aliases']) && entry['aliases'].includes(model));
  const entry = entries.find(known);
  // TGI serves one model, under any name; its documentation says "tgi".
  if (!entry && model === 'tgi') return { entry: entries[0] ?? null, names };
  if (entry) return { entry, names };
  const shown = names.slice(0, listedNames).map((name) => JSON.stringify(name.slice(0, 120)));
  const more = names.length > listedNames ? ` and ${names.length - listedNames} more` : '';
  return faultOf('engine.load-failed', `the upstream has no model ${JSON.stringify(model)}; it has ${shown.join(', ')}${more}`, {
    field: 'spec.engine.model',
    remedy: 'Register the version with one of these names, or serve the model under the name.',
  });
}

/** Pages that one family alone answers with these fields. */
const familyPages: readonly {
  readonly dialect: Dialect;
  readonly page: string;
  readonly read: (body: Fields) => Partial<Identity> | null;
}[] = [
  {
    dialect: 'llama-server',
    page: 'props',
    read: (body) => {
      const settings = body['default_generation_settings'];
      if (!isObject(settings)) return null;
      return { version: string(body['build_info']), contextSize: count(settings['n_ctx']), maxParallel: count(body['total_slots']) };
    },
  },
  {
    dialect: 'sglang',
    page: 'get_server_info',
    read: (body) =>
      'max_total_num_tokens' in body || 'tokenizer_path' in body || 'mem_fraction_static' in body
        ? { version: string(body['version']), contextSize: count(body['context_length']), maxParallel: count(body['max_running_requests']) }
        : null,
  },
  {
    dialect: 'tgi',
    page: 'info',
    read: (body) =>
      'max_concurrent_requests' in body && 'model_id' in body
        ? {
            version: string(body['version']),
            contextSize: count(body['max_total_tokens']),
            maxParallel: count(body['max_concurrent_requests']),
          }
        : null,
  },
  { dialect: 'ollama', page: 'api/version', read: (body) => (string(body['version']) ? { version: string(body['version']) } : null) },
  { dialect: 'vllm', page: 'version', read: (body) => (string(body['version']) ? { version: string(body['version']) } : null) },
];

const owners: Readonly<Record<string, Dialect>> = { vllm: 'vllm', sglang: 'sglang', llamacpp: 'llama-server', library: 'ollama' };

/**
 * One or two small pages where the list of models or a header names the family, five at most. Never a fault: what cannot be told is `openai`.
 * `page`: the page `models`.
 */
export async function identify(connection: Connection, page: Page, list: ModelList | null, signal: AbortSignal): Promise<Identity> {
  const entry = list?.entry ?? {};
  const meta = object(entry['meta']);
  const told = {
    contextSize: count(entry['max_model_len']) ?? count(meta['n_ctx']) ?? count(entry['context_length']),
    vocabularySize: count(meta['n_vocab']),
  };
  const hinted = owners[String(entry['owned_by'])] ?? (/llama\.cpp/i.test(String(page.headers['server'])) ? 'llama-server' : null);
  const others = familyPages.filter(({ dialect }) => hinted === null || dialect === hinted);
  for (const { dialect, page: path, read } of others) {
    const body = await look(connection, `${connection.target.rootPath}${path}`, signal);
    const found = body === null ? null : read(body);
    if (!found && hinted === null) continue;
    return {
      dialect,
      version: found?.version ?? null,
      contextSize: told.contextSize ?? found?.contextSize ?? null,
      vocabularySize: told.vocabularySize,
      maxParallel: found?.maxParallel ?? null,
    };
  }
  return { dialect: 'openai', version: null, ...told, maxParallel: null };
}

async function look(connection: Connection, path: string, signal: AbortSignal): Promise<Fields | null> {
  try {
    const page = await connection.get(path, signal, largestPageBytes);
    return page.status === 200 ? object(json(page.text)) : null;
  } catch (error) {
    // A page that cannot be had says nothing about the model; out of time is out of time.
    if (signal.aborted) throw error;
    return null;
  }
}

export function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
