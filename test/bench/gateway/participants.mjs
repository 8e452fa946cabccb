// Who is measured: each a process of its own on the first core, opened together, asked in turns.
import { join } from 'node:path';
import { hasPortkey, startPortkey } from './peers/portkey.mjs';
import { Child, cores } from './process.mjs';
import { GatewayProcess } from './serin/gateway-process.mjs';
import { register, startRollout, upstreamSpec } from './serin/rollouts.mjs';
import { Stage } from './serin/stage.mjs';

const path = '/v1/chat/completions';
const candidateShare = 0.1;

export const titles = {
  direct: 'direct',
  'node-http': 'raw node:http',
  undici: 'raw undici',
  nest: 'Nest controller on Fastify',
  portkey: 'Portkey 1.15.2',
  serin: 'Serin',
  'serin-share-0': 'Serin, entropy off',
  'serin-cut': 'Serin, entropy on, cut out',
  'serin-cut-share-0': 'Serin, entropy off, none asked',
};

async function peer(script, upstream) {
  const child = new Child(join(import.meta.dirname, 'peers', script), { where: cores.proxy });
  const port = await child.ask('open', { upstream });
  return { port, pid: child.pid, path, headers: {}, models: {}, end: async () => await child.end() };
}

async function portkey(dir, upstream) {
  const { port, pid, end } = await startPortkey(dir, cores.proxy);
  const headers = {
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${upstream}/v1`,
    authorization: 'Bearer bench',
  };
  return { port, pid, path, headers, models: {}, end };
}

/** The gateway with everything on: keys, a live rollout at 10 %, windows to Postgres, sampled entropy (20 log probabilities of a tenth). */
async function serin(upstream, { profile }) {
  const stage = await Stage.open();
  try {
    const spec = (model, logprobs) => upstreamSpec(upstream, model, logprobs);
    const plain = await register(stage.database, 'chat', { v1: spec('mock'), v2: spec('mock-b') }, 'v1');
    const paced = await register(stage.database, 'paced', { v1: spec('mock-paced'), v2: spec('mock-paced-b') }, 'v1');
    await register(stage.database, 'all', { v1: spec('mock', { top: 20, share: 1 }) }, 'v1');
    await register(stage.database, 'none', { v1: spec('mock', { top: 0, share: 0 }) }, 'v1');
    await startRollout(stage.database, plain, 'v2', candidateShare);
    const { generation } = await startRollout(stage.database, paced, 'v2', candidateShare);
    const gateway = await new GatewayProcess(stage, { where: cores.proxy, profile }).start();
    await gateway.ready(generation);
    return {
      port: gateway.port,
      pid: gateway.pid,
      path,
      headers: { authorization: `Bearer ${stage.key}` },
      models: { logprobs: 'all' },
      gateway,
      stage,
      end: async () => await stage.close(),
    };
  } catch (error) {
    await stage.close();
    throw error;
  }
}

/** Opens those that are wanted; resolves to participants by name. */
export async function openAll({ names, upstream, portkeyDir, profile, say }) {
  const open = {};
  for (const name of names) {
    if (name === 'portkey' && !hasPortkey(portkeyDir)) {
      say(`Portkey is not in ${portkeyDir}: left out. --install-peers installs it there, or --portkey DIR names another place.`);
      continue;
    }
    say(`starting ${titles[name]}`);
    if (name === 'direct') open.direct = { port: upstream, pid: null, path, headers: {}, models: {}, end: async () => undefined };
    else if (name === 'portkey') open.portkey = await portkey(portkeyDir, upstream);
    else if (name === 'serin') open.serin = await serin(upstream, { profile });
    else open[name] = await peer(`${name}.mjs`, upstream);
  }
  return open;
}

/** The same gateway under other models: what they differ in is one setting of the version. */
export const variants = {
  'serin-share-0': { of: 'serin', models: { logprobs: 'none' } },
  'serin-cut': { of: 'serin', models: { logprobs: 'all' }, ask: { topLogprobs: null } },
  'serin-cut-share-0': { of: 'serin', models: { logprobs: 'none' }, ask: { topLogprobs: null } },
};
