/** Of this package; a browser has no `package.json` to look it up in. */
export const VERSION = '0.1.0'
