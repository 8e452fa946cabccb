// The frame of every page: name, whether the page is alive, colours, sign-out; and a banner while the connection is lost.
import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet } from '@tanstack/react-router';
import { useEffect, useState, useSyncExternalStore } from 'react';
import { LiveStream } from '../api/live.js';
import { type Session, signOut } from '../api/session.js';
import { duration, utcTime } from '../words/format.js';
import { Canary } from './canary.js';
import { SchemeSwitch } from './scheme-switch.js';
import classes from './shell.module.css';
import { SignMark } from './sign.js';
import { useNow } from './time.js';

/** A restart of the controller takes a second or two; that is not worth a banner. */
const patienceMs = 2_500;
const words = { connecting: 'Connecting', live: 'Live', lost: 'Reconnecting' } as const;

function LostBanner({ since }: { readonly since: number }) {
  const now = useNow();
  if (now - since < patienceMs) return null;
  return (
    <div className={classes['banner']} role="status" title={utcTime(since)} data-testid="lost-banner">
      <div>
        <SignMark sign="clock" />
        <span>Connection lost {duration(now - since)} ago; what you see is from before. Reconnecting by itself.</span>
      </div>
    </div>
  );
}

export function Shell({ session }: { readonly session: Session }) {
  const client = useQueryClient();
  const [stream] = useState(() => new LiveStream(client));
  const live = useSyncExternalStore(stream.subscribe, stream.snapshot);
  useEffect(() => {
    stream.open();
    return () => stream.close();
  }, [stream]);
  return (
    <>
      <a className={classes['skip']} href="#main">
        Skip to the content
      </a>
      <header className={classes['header']}>
        <div className={classes['bar']}>
          <Link to="/" className={classes['brand']}>
            <Canary />
            Serin
          </Link>
          <div className={classes['right']}>
            <span className={classes['live']} data-state={live.state} data-testid="live-state">
              <span className={classes['dot']} aria-hidden="true" />
              {words[live.state]}
            </span>
            <span className={classes['who']}>{session.name.replace(/^key:/, '')}</span>
            <SchemeSwitch />
            <Button variant="default" size="compact-sm" onClick={() => void signOut(client).catch(() => client.invalidateQueries())}>
              Sign out
            </Button>
          </div>
        </div>
        {live.state === 'lost' ? <LostBanner since={live.since} /> : null}
      </header>
      <main id="main" className={classes['main']} data-stale={live.state === 'lost'}>
        <Outlet />
      </main>
    </>
  );
}
