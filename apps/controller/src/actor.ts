// Who asks: an API key (directly or through the browser session made from it), a hook source, or the controller itself.
import type { Scope } from '#libs/contract';

export interface Actor {
  /** `key:NAME`, `hook:SOURCE` or `controller`: what audit and events show. */
  readonly name: string;
  readonly scopes: readonly Scope[];
}
