// What the stress rows share: an upstream, a gateway of their own in front of it, and their models.
import { join } from 'node:path';
import { Child, cores } from '../process.mjs';
import { GatewayProcess } from '../serin/gateway-process.mjs';
import { Stage } from '../serin/stage.mjs';

const here = join(import.meta.dirname, '..');

/**
 * Runs `work` with a stage, one gateway and one upstream, and takes all of it down again.
 * @param {{prepare: (scene: object) => Promise<number>, upstream?: object, env?: object, execArgv?: string[]}} wanted
 *   `prepare` registers models and resolves to the routing generation that has them all.
 */
export async function withScene({ prepare, upstream: settings = {}, env = {}, execArgv = [] }, work) {
  const upstream = new Child(join(here, 'mock/upstream.mjs'), { where: cores.rest });
  let stage = null;
  try {
    const upstreamPort = await upstream.ask('listen', settings);
    stage = await Stage.open();
    const scene = {
      stage,
      database: stage.database,
      upstream,
      upstreamPort,
      headers: { authorization: `Bearer ${stage.key}` },
      path: '/v1/chat/completions',
    };
    const generation = await prepare(scene);
    scene.gateway = await new GatewayProcess(stage, { where: cores.proxy, env, execArgv }).start();
    await scene.gateway.ready(generation);
    scene.port = scene.gateway.port;
    return await work(scene);
  } finally {
    await stage?.close();
    await upstream.end();
  }
}

/** The generator as a process beside the scene. */
export async function withGenerator(work) {
  const generator = new Child(join(here, 'load/generator.mjs'), { where: cores.rest });
  try {
    return await work(generator);
  } finally {
    await generator.end();
  }
}
