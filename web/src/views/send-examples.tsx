import { Check, Copy } from 'lucide-react';
import { useState } from 'react';
import { Panel } from '@/builder/report-page';
import { useProject } from '@/shell/project';
import { Button } from '@/ui/button';

export interface Credentials {
  id: string;
  secret: string;
}

function examples(origin: string, project: string, credentials?: Credentials): { title: string; text: string; note: string }[] {
  const who = credentials ? `${credentials.id}:${credentials.secret}` : 'CLIENT_ID:SECRET';
  return [
    {
      title: 'Events',
      note: 'Answered once they are on disk. An event_id makes sending it again safe.',
      text: `curl ${origin}/v1/events \\
  -u '${who}' \\
  -H 'Content-Type: application/json' \\
  -d '{"events":[{"event_id":"5f1c9a","identity":"user_123","event":"Product Viewed",
       "properties":{"Product":"Lamp","Price":39.5}}]}'`,
    },
    {
      title: 'Profiles',
      note: 'Properties of a user; later values replace earlier ones.',
      text: `curl ${origin}/v1/profiles \\
  -u '${who}' \\
  -H 'Content-Type: application/json' \\
  -d '{"profiles":[{"identity":"user_123","properties":{"Name":"Asha","plan":"premium"}}]}'`,
    },
    {
      title: 'A file',
      note: 'NDJSON or CSV, packed or not; repeating a file is safe where its records carry event ids.',
      text: `kolam import --project '${project}' --server ${origin} events.ndjson.gz`,
    },
    {
      title: 'A query',
      note: 'The client needs the scope query. Ask for text/csv to get CSV.',
      text: `curl ${origin}/v1/query \\
  -u '${who}' \\
  -H 'Content-Type: application/json' \\
  -d '{"cql":"SELECT count(), users() FROM events GROUP BY day SINCE 30 days ago"}'`,
    },
  ];
}

export function SendExamples({ credentials }: { credentials?: Credentials }) {
  const { project } = useProject();
  return (
    <div className="grid gap-4">
      {examples(window.location.origin, project.name, credentials).map((example) => (
        <Panel key={example.title} title={example.title} tools={<CopyButton text={example.text} />}>
          <pre tabIndex={0} className="overflow-x-auto rounded-md bg-sunken p-3 font-mono text-[12.5px] leading-relaxed">{example.text}</pre>
          <p className="mt-2 text-[13px] text-muted">{example.note}</p>
        </Panel>
      ))}
    </div>
  );
}

export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  return (
    <Button
      small
      look="ghost"
      onClick={() => {
        void navigator.clipboard.writeText(text).then(() => {
          setDone(true);
          setTimeout(() => setDone(false), 1500);
        });
      }}
    >
      {done ? <Check size={13} /> : <Copy size={13} />} {done ? 'Copied' : label}
    </Button>
  );
}
