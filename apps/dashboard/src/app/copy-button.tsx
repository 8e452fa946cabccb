// Copies a text and says so. Absent where the browser has no clipboard for pages (plain HTTP on another machine).
import { Button } from '@mantine/core';
import { useEffect, useState } from 'react';

const saidMs = 2_000;

export function CopyButton({ text, children = 'Copy' }: { readonly text: string | (() => string); readonly children?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), saidMs);
    return () => clearTimeout(timer);
  }, [copied]);
  if (!('clipboard' in navigator)) return null;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(typeof text === 'string' ? text : text());
    setCopied(true);
  };
  return (
    <Button variant="default" size="compact-sm" onClick={() => void copy().catch(() => setCopied(false))}>
      <span aria-live="polite">{copied ? 'Copied' : children}</span>
    </Button>
  );
}
