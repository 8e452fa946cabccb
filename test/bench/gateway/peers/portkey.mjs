// Peer: Portkey's gateway from npm, in the only combination of versions whose streams work. Never a dependency of ours: it lives where it was asked to.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { sleep, until } from '../clock.mjs';
import { bind } from '../process.mjs';

/** A fresh install resolves newer ones, with which every stream is answered by 500. */
const manifest = {
  private: true,
  dependencies: { '@portkey-ai/gateway': '1.15.2' },
  overrides: { hono: '4.9.7', '@hono/node-server': '1.13.8' },
};

function scriptIn(dir) {
  return join(resolve(dir), 'node_modules/@portkey-ai/gateway/build/start-server.js');
}

export function hasPortkey(dir) {
  return existsSync(scriptIn(dir));
}

export async function installPortkey(dir) {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: dir, stdio: 'inherit' });
  if (status !== 0) throw new Error(`npm install in ${dir} ended with ${status}`);
}

export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

function answers(port) {
  return new Promise((done) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

export async function startPortkey(dir, where) {
  const port = await freePort();
  const child = spawn(process.execPath, [scriptIn(dir), `--port=${port}`, '--headless'], {
    stdio: 'ignore',
    env: { ...process.env, NODE_ENV: 'production' },
  });
  if (where !== null) bind(child.pid, where);
  process.once('exit', () => child.kill('SIGKILL'));
  const gone = new Promise((done) => child.once('exit', done));
  await until(async () => await answers(port), 'Portkey to listen');
  return {
    port,
    pid: child.pid,
    end: async () => {
      child.kill('SIGTERM');
      await Promise.race([gone, sleep(3_000)]);
      child.kill('SIGKILL');
    },
  };
}
