import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestController, type TestController } from '../support/controller.js';

/** What `npm run build` writes; `npm test` builds first. */
const dashboardDir = join(import.meta.dirname, '../../dist/apps/dashboard');
const mostFirstLoadBytes = 300_000;

let controller: TestController;
beforeAll(async () => {
  controller = await startTestController({ dashboardDir });
});
afterAll(async () => {
  await controller.close();
});

async function get(path: string): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${controller.url}${path}`, { signal: AbortSignal.timeout(10_000) });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Scripts and styles that the page loads first. */
function assetsOf(page: string): string[] {
  return [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
}

describe('the dashboard as the controller serves it', () => {
  it('is one page for every address of its own', async () => {
    const { text } = await get('/');
    expect(text).toContain('<div id="root">');
    const link = await get('/rollouts/7d9c1c1e-0000-4000-8000-000000000000?check=latency');
    expect(link).toMatchObject({ status: 200, text });
    expect(link.headers.get('cache-control')).toBe('no-store');
  });

  it('is no answer of the API', async () => {
    expect((await get('/api/v1/nothing')).headers.get('content-type')).toContain('application/problem+json');
  });

  it('loads nothing from elsewhere and at most 300 KB at first, compressed', async () => {
    const { text } = await get('/');
    const assets = assetsOf(text);
    expect(assets.length).toBeGreaterThanOrEqual(2);
    let bytes = gzipSync(text).length;
    for (const asset of assets) {
      expect(asset).toMatch(/^\/[^/]/);
      const answer = await get(asset);
      expect(answer.status).toBe(200);
      if (asset.startsWith('/assets/')) expect(answer.headers.get('cache-control')).toContain('immutable');
      bytes += gzipSync(answer.text).length;
    }
    expect(bytes).toBeLessThanOrEqual(mostFirstLoadBytes);
  });

  it('needs no inline script or style: the policy allows none', async () => {
    const { text, headers } = await get('/');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(text).not.toMatch(/<style|style=|<script>|onload=/);
  });
});
