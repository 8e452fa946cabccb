// Under /hooks/ the body stays bytes: a signature is judged over what was sent, before anything is made of it.
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';

/** What JSON is called on its way to a hook, so that no JSON parser takes it up. Never leaves this process. */
const rawType = 'application/x-serin-raw';

/** Must come before the routes. Other content types are refused with 415 as everywhere. */
export function keepHookBodiesRaw(app: NestFastifyApplication, instance: FastifyInstance, bodyLimit: number): void {
  instance.addHook('onRequest', async (request) => {
    if (!request.url.startsWith('/hooks/')) return;
    const type = request.headers['content-type'];
    if (type !== undefined && /^application\/([a-z0-9.-]+\+)?json\s*(;|$)/i.test(type)) request.headers['content-type'] = rawType;
  });
  app.useBodyParser(rawType, { bodyLimit }, (_request, body, done) => done(null, body));
}
