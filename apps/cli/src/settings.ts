// Where the controller is and by which key it is asked: option, then environment, then the key file of a Serin on this machine.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError, readEnv } from '#libs/config';
import { CliError, exitCodes } from './exit-codes.js';

export interface Settings {
  /** Without a slash at the end. */
  readonly url: string;
  readonly key: string;
}

const environment = z.object({
  SERIN_CONTROLLER_URL: z.string().default('http://127.0.0.1:3000'),
  SERIN_API_KEY: z.string().optional(),
  SERIN_DATA_DIR: z.string().min(1).default('data'),
});

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
const keyShape = /^sk-serin-[A-Za-z0-9_-]{20,200}$/;

/** Throws CliError when the address or the key is missing or misshapen. Reads the key file only for a controller on this machine. */
export async function readSettings(options: { readonly url?: string; readonly key?: string }, env: NodeJS.ProcessEnv): Promise<Settings> {
  const values = environmentOf(env);
  const given = options.url ?? values.SERIN_CONTROLLER_URL;
  const url = URL.canParse(given) ? new URL(given) : null;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CliError(
      exitCodes.unexpected,
      `--url: ${JSON.stringify(given)} is not an http or https address.`,
      'Give one as --url or SERIN_CONTROLLER_URL, for example http://127.0.0.1:3000.',
    );
  }
  // A key in a file of this machine is for the controller of this machine and is sent to no other.
  const file = join(values.SERIN_DATA_DIR, 'admin-key');
  const key = (options.key ?? values.SERIN_API_KEY ?? (loopback.test(url.hostname) ? await keyIn(file) : null))?.trim();
  if (!key) {
    throw new CliError(
      exitCodes.notAuthorised,
      'No API key was given.',
      `Set SERIN_API_KEY or --key, or set SERIN_DATA_DIR to the data directory of the Serin on this machine (looked for ${file}).`,
    );
  }
  if (!keyShape.test(key)) {
    throw new CliError(exitCodes.notAuthorised, 'The API key is not one of Serin.', 'Give the whole key; it begins with sk-serin-.');
  }
  return { url: url.href.replace(/\/+$/, ''), key };
}

function environmentOf(env: NodeJS.ProcessEnv): z.infer<typeof environment> {
  try {
    return readEnv(environment, env);
  } catch (error) {
    if (error instanceof ConfigError) throw new CliError(exitCodes.unexpected, error.message);
    throw error;
  }
}

async function keyIn(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code === 'EACCES') {
      throw new CliError(
        exitCodes.notAuthorised,
        `${file} cannot be read by you.`,
        'Set SERIN_API_KEY, or ask who runs Serin here for a key.',
      );
    }
    throw error;
  }
}
