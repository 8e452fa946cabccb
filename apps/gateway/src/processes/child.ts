// One of several gateway processes on one port: started by start-processes.ts with its place and the port, ended with it.
import { runService } from '#libs/config';
import { gatewayOptionsAt, readSettings } from '../settings.js';
import { startGateway } from '../start-gateway.js';
import { isCountedUnits, SharedFirstAnswers } from './counted-units.js';

const [place, port] = process.argv.slice(2).map(Number);
if (!place || !port) throw new Error('a process of a gateway is started by its parent, with its place and a port');

// The parent is gone, even by SIGKILL: nothing would start this process again, so it drains and leaves the port to who comes next.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

const units = new SharedFirstAnswers((news) => process.send?.(news, ignore));
process.on('message', (message) => {
  if (isCountedUnits(message)) units.hear(message);
  // Whoever does not answer hangs, and is replaced.
  else process.send?.('pong', ignore);
});

runService(`gateway process ${place}`, async () => {
  const gateway = await startGateway({ ...gatewayOptionsAt(readSettings(process.env), place, port), firstAnswers: units.answers });
  process.send?.('listening', ignore);
  return gateway;
});

/** What cannot be sent is for a parent that has gone: then this process ends as well. */
function ignore(): void {}
