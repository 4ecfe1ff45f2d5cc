import clsx from 'clsx';
import { Check, ChevronDown } from 'lucide-react';
import { Select as S } from 'radix-ui';

export interface Option<T extends string> {
  value: T;
  label: string;
}

/** One of a few. */
export function Choice<T extends string>({
  label, value, options, onChange, className, quiet, id,
}: {
  label: string;
  value: T;
  options: readonly Option<T>[];
  onChange: (value: T) => void;
  className?: string;
  quiet?: boolean;
  id?: string;
}) {
  return (
    <S.Root value={value} onValueChange={(next) => onChange(next as T)}>
      <S.Trigger
        id={id}
        aria-label={label}
        className={clsx(
          'inline-flex h-8 min-w-0 items-center gap-1 rounded-md border text-left whitespace-nowrap transition-colors',
          quiet ? 'border-transparent px-1.5 text-soft hover:bg-hover' : 'border-line-strong/70 bg-panel px-2.5 shadow-panel hover:bg-hover',
          className,
        )}
      >
        <span className="min-w-0 grow truncate"><S.Value>{options.find((option) => option.value === value)?.label ?? value}</S.Value></span>
        <ChevronDown size={14} className="shrink-0 text-muted" aria-hidden="true" />
      </S.Trigger>
      <S.Portal>
        <S.Content position="popper" sideOffset={4} collisionPadding={8} className="z-50 max-h-(--radix-select-content-available-height) overflow-hidden rounded-lg border border-line bg-panel shadow-pop pop-in">
          <S.Viewport className="p-1">
            {options.map((option) => (
              <S.Item
                key={option.value}
                value={option.value}
                className="flex h-8 cursor-default items-center gap-2 rounded-md pr-3 pl-2 outline-none select-none data-highlighted:bg-hover"
              >
                <span className="w-4"><S.ItemIndicator><Check size={14} className="text-accent" /></S.ItemIndicator></span>
                <S.ItemText>{option.label}</S.ItemText>
              </S.Item>
            ))}
          </S.Viewport>
        </S.Content>
      </S.Portal>
    </S.Root>
  );
}
