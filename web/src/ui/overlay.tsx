import clsx from 'clsx';
import { X } from 'lucide-react';
import { AlertDialog as A, Dialog as D, DropdownMenu as M, Popover as P } from 'radix-ui';
import type { ComponentProps, ReactNode } from 'react';
import { Button, IconButton } from './button';

const surface = 'z-50 rounded-lg border border-line bg-panel shadow-pop pop-in';

export const Popover = P.Root;
export const PopoverTrigger = P.Trigger;
export const PopoverAnchor = P.Anchor;

export function PopoverContent({ className, ...rest }: ComponentProps<typeof P.Content>) {
  return (
    <P.Portal>
      <P.Content align="start" sideOffset={4} collisionPadding={8} {...rest} className={clsx(surface, 'max-w-[calc(100vw-16px)] outline-none', className)} />
    </P.Portal>
  );
}

/** Not modal: the page stays there for screen readers while a menu is open. */
export function Menu(props: ComponentProps<typeof M.Root>) {
  return <M.Root modal={false} {...props} />;
}

export const MenuTrigger = M.Trigger;

export function MenuContent({ className, ...rest }: ComponentProps<typeof M.Content>) {
  return (
    <M.Portal>
      <M.Content align="end" sideOffset={4} collisionPadding={8} {...rest} className={clsx(surface, 'min-w-44 p-1', className)} />
    </M.Portal>
  );
}

const item = 'flex h-8 cursor-default items-center gap-2 rounded-md px-2 text-text outline-none select-none data-highlighted:bg-hover';

export function MenuItem({ className, danger, ...rest }: ComponentProps<typeof M.Item> & { danger?: boolean }) {
  return <M.Item {...rest} className={clsx(item, danger && 'text-bad', className)} />;
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <M.Label className="px-2 pt-1.5 pb-1 text-xs text-muted">{children}</M.Label>;
}

export function MenuSeparator() {
  return <M.Separator className="my-1 h-px bg-line" />;
}

export function MenuChoice({ checked, children, onSelect }: { checked: boolean; children: ReactNode; onSelect: () => void }) {
  return (
    <M.CheckboxItem checked={checked} onSelect={onSelect} className={item}>
      <span className="w-3 text-accent" aria-hidden="true">{checked ? '✓' : ''}</span>
      {children}
    </M.CheckboxItem>
  );
}

export function Dialog({
  open, onClose, title, description, children, wide,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
  wide?: boolean;
}) {
  return (
    <D.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <D.Portal>
        <D.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <D.Content
          {...(description ? {} : { 'aria-describedby': undefined })}
          className={clsx(
            surface,
            'fixed top-[12vh] left-1/2 max-h-[80vh] w-[calc(100vw-24px)] -translate-x-1/2 overflow-y-auto p-5 outline-none',
            wide ? 'max-w-2xl' : 'max-w-md',
          )}
        >
          <div className="mb-4 flex items-start gap-4">
            <div className="grow">
              <D.Title className="text-base font-semibold">{title}</D.Title>
              {description ? <D.Description className="mt-1 text-soft">{description}</D.Description> : null}
            </div>
            <D.Close asChild>
              <IconButton label="Close"><X size={16} /></IconButton>
            </D.Close>
          </div>
          {children}
        </D.Content>
      </D.Portal>
    </D.Root>
  );
}

export function Confirm({
  open, onClose, onConfirm, title, children, action,
}: {
  open: boolean;
  onClose: () => void;
  onConfirm: () => void;
  title: string;
  children: ReactNode;
  action: string;
}) {
  return (
    <A.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <A.Portal>
        <A.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <A.Content className={clsx(surface, 'fixed top-[20vh] left-1/2 w-[calc(100vw-24px)] max-w-md -translate-x-1/2 p-5 outline-none')}>
          <A.Title className="text-base font-semibold">{title}</A.Title>
          <A.Description className="mt-2 mb-5 text-soft">{children}</A.Description>
          <div className="flex justify-end gap-2">
            <A.Cancel asChild><Button>Keep</Button></A.Cancel>
            <A.Action asChild><Button look="danger" onClick={onConfirm}>{action}</Button></A.Action>
          </div>
        </A.Content>
      </A.Portal>
    </A.Root>
  );
}
