// Where an upstream lives: the base URL of a spec, judged once, and the paths that hang off it.
import { fail, type Outcome, ok } from '#libs/base';
import type { EngineFault } from '../engine.js';
import { isMetadataAddress } from './address.js';

export interface Target {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path of the API, with a slash at both ends: `/v1/`. */
  readonly apiPath: string;
  /** Path that the server's own pages (`metrics`, `version`, `props`) hang off: the API's path without its `v1/`. */
  readonly rootPath: string;
}

const field = 'spec.engine.baseUrl';

/** Faults: `engine.load-failed` naming `spec.engine.baseUrl` for a URL that must not or cannot be an upstream's. */
export function targetOf(baseUrl: string): Outcome<Target, EngineFault> {
  if (!URL.canParse(baseUrl)) return refuse('it is not a URL', 'Write it like http://host:8000/v1.');
  const url = new URL(baseUrl);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return refuse(`${url.protocol}// cannot be spoken`, 'Use http:// or https://.');
  if (url.username !== '' || url.password !== '')
    return refuse('it holds a user or password', 'Put the secret into an environment variable and name that in spec.engine.credentialEnv.');
  if (url.search !== '' || url.hash !== '') return refuse('it has a query or fragment', 'Give the path alone, like http://host:8000/v1.');
  if (isMetadataAddress(url.hostname)) return refuse('it names a metadata address', 'Name the host that serves the model.');
  const apiPath = `${url.pathname.replace(/\/+$/, '')}/`;
  return ok({ origin: url.origin, apiPath, rootPath: apiPath.replace(/\/v1\/$/, '/') });
}

function refuse(why: string, remedy: string): Outcome<never, EngineFault> {
  return fail({ code: 'engine.load-failed', message: `the base URL cannot be used: ${why}`, field, remedy });
}
