// A name as SQL writes it, whatever is in it.

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
