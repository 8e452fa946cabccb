// Where several processes share a port, versions from files are refused: each process would load the file once more, and memory is sized for one.
import { fail } from '#libs/base';
import type { EngineFactory } from './pool.js';

export function upstreamsOnly(factory: EngineFactory): EngineFactory {
  return async (spec, version) => {
    if (spec.kind === 'openai') return await factory(spec, version);
    return fail({
      code: 'engine.shared-port',
      message: 'this gateway runs as several processes, and each would load the file once more',
      field: 'spec.engine.kind',
      remedy: 'Serve it by a gateway with SERIN_GATEWAY_PROCESSES=1, or put the file behind a server of its own.',
    });
  };
}
