import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exitCodes } from './exit-codes.js';
import { readSettings } from './settings.js';

const fileKey = `sk-serin-${'f'.repeat(43)}`;
const otherKey = `sk-serin-${'o'.repeat(43)}`;
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'serin-cli-'));
  await writeFile(join(dir, 'admin-key'), `${fileKey}\n`);
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

describe('settings', () => {
  it('take the key file of a Serin on this machine when nothing else is given', async () => {
    expect(await readSettings({}, { SERIN_DATA_DIR: dir })).toEqual({ url: 'http://127.0.0.1:3000', key: fileKey });
  });

  it('prefer the option to the environment and both to the file', async () => {
    const env = { SERIN_DATA_DIR: dir, SERIN_API_KEY: otherKey, SERIN_CONTROLLER_URL: 'http://localhost:1234/' };
    expect(await readSettings({}, env)).toEqual({ url: 'http://localhost:1234', key: otherKey });
    expect(await readSettings({ url: 'http://[::1]:9', key: fileKey }, env)).toEqual({ url: 'http://[::1]:9', key: fileKey });
  });

  it('never send the key file of this machine to another one', async () => {
    await expect(readSettings({ url: 'https://serin.example.com' }, { SERIN_DATA_DIR: dir })).rejects.toMatchObject({
      exitCode: exitCodes.notAuthorised,
      remedy: expect.stringContaining('SERIN_API_KEY'),
    });
  });

  it('refuse what is no address and what is no key of Serin, naming each', async () => {
    await expect(readSettings({ url: 'localhost:3000' }, {})).rejects.toMatchObject({ message: expect.stringContaining('--url') });
    await expect(readSettings({ key: 'sk-other' }, {})).rejects.toMatchObject({
      exitCode: exitCodes.notAuthorised,
      remedy: expect.stringContaining('sk-serin-'),
    });
  });
});
