// What a person can do to a rollout now. Rolling back stands first, is never in a menu, and needs no more than a reason.
import { Button } from '@mantine/core';
import { useState } from 'react';
import type { RolloutResource, Scope } from '#libs/contract';
import type { CommandKind } from '../api/rollouts.js';
import { useSession } from '../api/session.js';
import { hasEnded } from '../words/names.js';
import { CommandDialog } from './command-dialog.js';
import { commandsFor, wordsOf } from './commands.js';

const scopeOf: Readonly<Record<CommandKind, Scope>> = {
  rollback: 'rollouts:rollback',
  pause: 'rollouts:rollback',
  abort: 'rollouts:rollback',
  resume: 'rollouts:write',
  promote: 'rollouts:write',
};

/** `proven`: every gating check has its promotion proof. */
export function Actions({ rollout, proven }: { readonly rollout: RolloutResource; readonly proven: boolean }) {
  const { data: session } = useSession();
  const [open, setOpen] = useState<CommandKind | null>(null);
  // Kept while the dialog closes, so that its words do not change under the reader's eyes.
  const [shown, setShown] = useState<CommandKind>('rollback');
  const ask = (kind: CommandKind): void => {
    setShown(kind);
    setOpen(kind);
  };
  if (hasEnded(rollout.phase) && open === null) return null;
  return (
    <>
      {commandsFor(rollout.phase).map((kind) => {
        const allowed = session?.scopes.includes(scopeOf[kind]) ?? false;
        return (
          <Button
            key={kind}
            size={kind === 'rollback' ? 'md' : 'sm'}
            h={40}
            variant={kind === 'rollback' ? 'filled' : 'default'}
            color={kind === 'rollback' ? 'red' : 'blue'}
            disabled={!allowed}
            title={allowed ? undefined : `Your key lacks the scope ${scopeOf[kind]}.`}
            onClick={() => ask(kind)}
          >
            {wordsOf[kind].button}
          </Button>
        );
      })}
      <CommandDialog kind={shown} opened={open !== null} rollout={rollout} proven={proven} onClose={() => setOpen(null)} />
    </>
  );
}
