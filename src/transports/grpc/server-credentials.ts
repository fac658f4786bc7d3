// What gRPC's server shows its clients: plain text, or the certificates of the other doors, replaced as theirs are.

import { ServerCredentials } from '@grpc/grpc-js'
import type { Certificates } from '../tls/certificates.ts'

/** Null: plain text. */
export function credentialsOf(certificates: Certificates | null): ServerCredentials {
  return certificates === null ? ServerCredentials.createInsecure() : new Replaceable(certificates)
}

class Replaceable extends ServerCredentials {
  constructor(certificates: Certificates) {
    const options = certificates.current()
    super(options, options)
    certificates.onChange((changed) => this.updateSecureContextOptions(changed))
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other
  }
}
