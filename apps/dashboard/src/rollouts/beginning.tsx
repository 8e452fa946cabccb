// What an empty list says: the commands that fill it.
import { useQuery } from '@tanstack/react-query';
import type { ModelResource } from '#libs/contract';
import { call } from '../api/client.js';
import type { Page } from '../api/rollouts.js';
import { CopyBlock } from '../app/copy-block.js';
import classes from './beginning.module.css';

function curl(method: string, path: string, body: unknown): string {
  return [
    `curl -X ${method} ${window.location.origin}${path} \\`,
    `  -H "authorization: Bearer $SERIN_API_KEY" -H "content-type: application/json" \\`,
    `  -d '${JSON.stringify(body)}'`,
  ].join('\n');
}

export function Beginning() {
  const { data } = useQuery({
    queryKey: ['models'],
    queryFn: async ({ signal }) => await call<Page<ModelResource>>('/models', { signal }),
  });
  const model = data?.items[0];
  const name = model?.name ?? 'support';
  return (
    <div className={classes['box']} data-testid="empty-state">
      <div>
        <h2>No rollout yet</h2>
        <p>
          A rollout moves traffic from the stable version of a model to a candidate in small steps, and takes it back when the candidate is
          worse.
        </p>
      </div>
      {model ? null : (
        <div>
          <h3>1. Name a model</h3>
          <CopyBlock text={curl('POST', '/api/v1/models', { name })} />
        </div>
      )}
      <div>
        <h3>{model ? '1.' : '2.'} Register a version</h3>
        <CopyBlock
          text={curl('POST', `/api/v1/models/${name}/versions`, {
            label: 'v2',
            spec: { engine: { kind: 'llama', file: 'support-v2.gguf' } },
          })}
        />
      </div>
      <div>
        <h3>{model ? '2.' : '3.'} Start its rollout</h3>
        <CopyBlock text={`serin rollout start ${name} v2`} />
        <p>The first version of a model serves at once; every later one is rolled out beside it.</p>
      </div>
      <div>
        <h3>Or let your pipeline do both</h3>
        <p>
          A deployment hook registers the version and starts its rollout: <code>POST {window.location.origin}/hooks/generic</code>, signed
          as Standard Webhooks asks.
        </p>
      </div>
    </div>
  );
}
