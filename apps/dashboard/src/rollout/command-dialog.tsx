// One step between a button and its effect: what will happen, and why it should.
import { Button, Modal, Textarea, TextInput } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import type { RolloutResource } from '#libs/contract';
import { toProblem } from '../api/client.js';
import { type CommandKind, useCommand } from '../api/rollouts.js';
import { ProblemNotice } from '../app/problem-notice.js';
import classes from './command-dialog.module.css';
import { consequence, wordsOf } from './commands.js';

const shortestReason = 3;
const longestReason = 2_000;

interface Props {
  readonly kind: CommandKind;
  readonly opened: boolean;
  readonly rollout: RolloutResource;
  readonly proven: boolean;
  readonly onClose: () => void;
}

export function CommandDialog({ kind, opened, rollout, proven, onClose }: Props) {
  const [reason, setReason] = useState('');
  const [typed, setTyped] = useState('');
  // One id for one intention: pressing again after a lost answer must not act twice.
  const requestId = useRef('');
  const { mutate, isPending, error, reset } = useCommand(rollout);
  useEffect(() => {
    if (!opened) return;
    setReason('');
    setTyped('');
    reset();
    requestId.current = newId();
  }, [opened, reset]);
  const { confirm, reasons, button } = wordsOf[kind];
  // Promoting what is not proven is allowed, but not by a slip of the hand.
  const mustType = kind === 'promote' && !proven;
  const ready = reason.trim().length >= shortestReason && (!mustType || typed.trim() === rollout.candidate.label);
  const submit = (): void => {
    if (!ready || isPending) return;
    mutate(
      { kind, reason: reason.trim(), requestId: requestId.current },
      {
        onSuccess: onClose,
        onError: (refusal) => {
          const { status } = toProblem(refusal);
          // No answer: it may have arrived. A refusal: the next try is a new request.
          if (status >= 400 && status < 500) requestId.current = newId();
        },
      },
    );
  };
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={`${button} ${rollout.candidate.label}`}
      lockScroll={false}
      centered
      size="lg"
      transitionProps={{ duration: 120 }}
    >
      <form
        className={classes['form']}
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <p className={classes['consequence']}>{consequence(kind, rollout)}</p>
        <Textarea
          label="Reason"
          description="At least 3 characters. Goes into the events, the alert and the audit."
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
          }}
          maxLength={longestReason}
          rows={3}
          data-autofocus
        />
        <div className={classes['choices']}>
          {reasons.map((text) => (
            <Button key={text} variant="default" size="compact-sm" onClick={() => setReason(text)}>
              {text}
            </Button>
          ))}
        </div>
        {mustType ? (
          <TextInput
            label={`Not every check is proven. Type ${rollout.candidate.label} to promote it all the same`}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            autoComplete="off"
          />
        ) : null}
        {error ? <ProblemNotice error={error} /> : null}
        <div className={classes['buttons']}>
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            color={kind === 'rollback' || kind === 'abort' ? 'red' : 'blue'}
            loading={isPending}
            disabled={!ready && !isPending}
          >
            {confirm}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** `crypto.randomUUID` is missing on plain HTTP from another machine; this is not. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
