// `nest start gateway`: reads the environment, starts one process or several, and drains on SIGTERM.
import { availableParallelism } from 'node:os';
import { systemClock } from '#libs/base';
import { runService, type Service } from '#libs/config';
import { startProcesses } from './processes/start-processes.js';
import { gatewayLog, gatewayOptions, mostProcesses, readSettings } from './settings.js';
import { startGateway } from './start-gateway.js';

async function start(): Promise<Service> {
  const settings = readSettings(process.env);
  const wanted = settings.SERIN_GATEWAY_PROCESSES;
  const processes = wanted === 'auto' ? Math.min(mostProcesses, availableParallelism()) : wanted;
  if (processes === 1) return await startGateway(gatewayOptions(settings));
  const { SERIN_HOST: host, SERIN_GATEWAY_PORT: port } = settings;
  return await startProcesses({ processes, host, port, clock: systemClock, log: gatewayLog(settings) });
}

runService('gateway', start);
