// A process with one engine, which says the pid of the engine's child: what the supervision spec kills.
import { systemClock } from '#libs/base';
import { NativeEngine } from '#libs/engine';
import { createLog } from '#libs/telemetry';

const spec = { file: process.argv[2], contextSize: 512, gpuLayers: 0, parallel: 1, threads: 1 };
const engine = new NativeEngine({ spec, log: createLog('engine', 'silent'), clock: systemClock });
await engine.load(AbortSignal.timeout(60_000));
process.send(engine.stats().pid);
