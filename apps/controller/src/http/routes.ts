// What the server can answer: the methods of every path (for 405) and the pages of the dashboard with their headers.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RouteBook } from './problem.filter.js';

const apiPrefixes = ['/api/', '/hooks/', '/livez', '/readyz', '/metrics', '/openapi.json'];

/** No inline script or style, nothing from elsewhere, in nobody's frame: model output on a page stays text. */
const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

function toPattern(url: string): RegExp {
  const parts = url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  return new RegExp(`^${parts.join('/')}/?$`);
}

export class Routes implements RouteBook {
  private readonly known: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];
  private readonly dashboardDir: string | null;

  constructor(dashboardDir: string | null) {
    this.dashboardDir = dashboardDir !== null && existsSync(join(dashboardDir, 'index.html')) ? dashboardDir : null;
  }

  /** Must come before the routes: it remembers them as they are registered. */
  async attach(app: NestFastifyApplication, instance: FastifyInstance): Promise<void> {
    instance.addHook('onRoute', ({ url, method }) => {
      if (url.includes('*')) return;
      this.known.push({ pattern: toPattern(url), methods: Array.isArray(method) ? method : [method] });
    });
    instance.addHook('onSend', async (request, reply) => {
      for (const [name, value] of Object.entries(securityHeaders)) void reply.header(name, value);
      if (!this.isAsset(request)) void reply.header('cache-control', 'no-store');
    });
    if (this.dashboardDir === null) return;
    await app.register(fastifyStatic, {
      root: this.dashboardDir,
      index: 'index.html',
      // Vite names every file under assets/ by its content: such a name never changes its meaning.
      setHeaders: (reply, path) => {
        if (path.includes('/assets/')) void reply.header('cache-control', 'public, max-age=31536000, immutable');
      },
    });
  }

  methodsOf(path: string): string[] {
    return [...new Set(this.known.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))].sort();
  }

  isPage(request: FastifyRequest): boolean {
    const path = request.url.split('?', 1)[0] ?? '/';
    return (
      this.dashboardDir !== null &&
      request.method === 'GET' &&
      !apiPrefixes.some((prefix) => path.startsWith(prefix)) &&
      !/\.[a-z0-9]+$/i.test(path)
    );
  }

  sendPage(reply: FastifyReply): void {
    void reply.sendFile('index.html');
  }

  private isAsset(request: FastifyRequest): boolean {
    return this.dashboardDir !== null && request.url.startsWith('/assets/');
  }
}
