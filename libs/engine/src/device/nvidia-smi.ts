// GPUs by the driver's own tool, where its library cannot be used: one bounded run per look.
import { spawn } from 'node:child_process';
import { fail, type Outcome, ok } from '#libs/base';
import { type DeviceReading, mostDevices, within } from './reading.js';

const fields = ['index', 'name', 'uuid', 'utilization.gpu', 'memory.used', 'memory.total', 'temperature.gpu', 'power.draw'];
const mebibyte = 2 ** 20;
const maxOutputBytes = 1 << 16;
const usualDeadlineMs = 5_000;

/** Fault: `device.unreadable`. Killed at the deadline; a tool that writes without end is killed at 64 KiB. */
export async function askNvidiaSmi({
  command = 'nvidia-smi',
  deadlineMs = usualDeadlineMs,
}: {
  readonly command?: string;
  readonly deadlineMs?: number;
} = {}): Promise<Outcome<DeviceReading[]>> {
  const output = await outputOf(command, [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits'], deadlineMs);
  if (!output.ok) return output;
  const readings = parseNvidiaSmi(output.value);
  return readings ? ok(readings) : unreadable('it answered something else than a table of GPUs');
}

const unreadable = (why: string): Outcome<never> =>
  fail({ code: 'device.unreadable', message: `nvidia-smi gave no figures: ${why}.`, retryable: true });

async function outputOf(command: string, args: readonly string[], deadlineMs: number): Promise<Outcome<string>> {
  return await new Promise((done) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    const end = (outcome: Outcome<string>): void => {
      clearTimeout(late);
      // A grandchild may hold the pipe open: do not wait for it.
      child.stdout.destroy();
      child.kill('SIGKILL');
      done(outcome);
    };
    const late = setTimeout(() => end(unreadable(`it did not answer within ${deadlineMs} ms`)), deadlineMs);
    child.once('error', (error: NodeJS.ErrnoException) => end(unreadable(error.code ?? error.message)));
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      if (output.length > maxOutputBytes) end(unreadable(`it wrote more than ${maxOutputBytes} bytes`));
    });
    child.once('close', (code, signal) => end(code === 0 ? ok(output) : unreadable(`it ended with ${signal ?? `exit code ${code}`}`)));
  });
}

/** One line per GPU. Null when a line is no such line; an empty list when the driver has no GPU. Pure. */
export function parseNvidiaSmi(output: string): DeviceReading[] | null {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 1 && /^no devices were found/i.test(lines[0] ?? '')) return [];
  if (lines.length === 0 || lines.length > mostDevices) return null;
  const readings = lines.map(parseLine);
  return readings.includes(null) ? null : readings.filter((reading) => reading !== null);
}

function parseLine(line: string): DeviceReading | null {
  const parts = line.split(',').map((part) => part.trim());
  if (parts.length < fields.length) return null;
  // A product name may hold commas: it is what lies between the index and the last six.
  const [index = '', ...rest] = parts;
  const [uuid = '', utilisation, used, total, temperature, power] = rest.slice(-6).map((part) => part);
  if (!/^\d{1,4}$/.test(index)) return null;
  return {
    index: Number(index),
    name: textOf(rest.slice(0, -6).join(', ')),
    uuid: textOf(uuid),
    utilisationPercent: within(numberOf(utilisation), 0, 100),
    memoryUsedBytes: bytesOf(used),
    memoryTotalBytes: bytesOf(total),
    temperatureC: within(numberOf(temperature), -100, 1_000),
    powerW: within(numberOf(power), 0, 100_000),
  };
}

/** "[N/A]", "[Not Supported]", "[Insufficient Permissions]", "ERR!" and whatever else is no number. */
function numberOf(text: string | undefined): number | null {
  return text !== undefined && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : null;
}

function bytesOf(text: string | undefined): number | null {
  const mebibytes = within(numberOf(text), 0, 2 ** 32);
  return mebibytes === null ? null : mebibytes * mebibyte;
}

function textOf(text: string): string | null {
  return text === '' || text.startsWith('[') ? null : text.slice(0, 128);
}
