import { presets } from '@/model/range';
import { PageHead } from '@/shell/frame';
import { places } from '@/shell/navigation';

const groups: { title: string; keys: [string, string][] }[] = [
  {
    title: 'Everywhere',
    keys: [['Ctrl K', 'Search and commands'], ['/', 'Go to the search field of the page'], ['?', 'This page'], ['Space', 'Hold the list of Live'], ['Esc', 'Close what is open']],
  },
  { title: 'Go to', keys: places.map(({ key, label }) => [`g ${key}`, label]) },
  {
    title: 'Time range of a report',
    keys: presets.filter((preset) => preset.key).map(({ key, label }) => [key ?? '', label]),
  },
  { title: 'Reports', keys: [['x', 'Compare with the previous period (Trends)'], ['Ctrl S', 'Save the report']] },
  { title: 'Query', keys: [['Ctrl Enter', 'Run'], ['Ctrl Space', 'Complete'], ['Esc Tab', 'Leave the editor with Tab']] },
];

export default function Shortcuts() {
  return (
    <>
      <PageHead title="Keyboard shortcuts" />
      <div className="grid gap-4 px-4 pb-10 sm:px-6 md:grid-cols-2 xl:grid-cols-3">
        {groups.map((group) => (
          <section key={group.title} className="panel self-start p-4">
            <h2 className="mb-2 font-semibold">{group.title}</h2>
            <dl>
              {group.keys.map(([keys, label]) => (
                <div key={keys + label} className="flex items-center gap-3 border-t border-line py-1.5 first:border-0">
                  <dt className="order-2 flex gap-1">
                    {keys.split(' ').map((key) => (
                      <kbd key={key} className="min-w-6 rounded border border-line-strong bg-sunken px-1.5 py-0.5 text-center font-sans text-xs">{key}</kbd>
                    ))}
                  </dt>
                  <dd className="order-1 grow text-soft">{label}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </>
  );
}
