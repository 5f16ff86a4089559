/* verify_table.h: what may be wrong with a chain of certificates: number, name, text.
 *
 * Included by error.c only. The numbers are those of X.509 verification as OpenSSL counts them, the
 * names too, with CERT_ in front. A number that is not here gets "CERT_ERROR". A test compares with
 * the library's header; nothing here knows it.
 */
#ifndef QN_VERIFY_TABLE_H
#define QN_VERIFY_TABLE_H

/* X(number, name, text) */
#define QN__VERIFY_ERRORS(X)                                                                       \
  X(1, "CERT_UNSPECIFIED", "the certificate cannot be verified")                                   \
  X(2, "CERT_UNABLE_TO_GET_ISSUER_CERT", "the issuer's certificate is not there")                  \
  X(3, "CERT_UNABLE_TO_GET_CRL", "the revocation list is not there")                               \
  X(4, "CERT_UNABLE_TO_DECRYPT_CERT_SIGNATURE",                                                    \
    "the signature of the certificate cannot be decrypted")                                        \
  X(5, "CERT_UNABLE_TO_DECRYPT_CRL_SIGNATURE",                                                     \
    "the signature of the revocation list cannot be decrypted")                                    \
  X(6, "CERT_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY", "the issuer's public key cannot be read")        \
  X(7, "CERT_SIGNATURE_FAILURE", "the signature of the certificate is wrong")                      \
  X(8, "CERT_CRL_SIGNATURE_FAILURE", "the signature of the revocation list is wrong")              \
  X(9, "CERT_NOT_YET_VALID", "the certificate is not yet valid")                                   \
  X(10, "CERT_HAS_EXPIRED", "the certificate has expired")                                         \
  X(11, "CERT_CRL_NOT_YET_VALID", "the revocation list is not yet valid")                          \
  X(12, "CERT_CRL_HAS_EXPIRED", "the revocation list has expired")                                 \
  X(13, "CERT_ERROR_IN_NOT_BEFORE_FIELD", "the first date of the certificate cannot be read")      \
  X(14, "CERT_ERROR_IN_NOT_AFTER_FIELD", "the last date of the certificate cannot be read")        \
  X(15, "CERT_ERROR_IN_CRL_LAST_UPDATE_FIELD",                                                     \
    "the first date of the revocation list cannot be read")                                        \
  X(16, "CERT_ERROR_IN_CRL_NEXT_UPDATE_FIELD",                                                     \
    "the last date of the revocation list cannot be read")                                         \
  X(17, "CERT_OUT_OF_MEMORY", "out of memory while the certificate was verified")                  \
  X(18, "CERT_DEPTH_ZERO_SELF_SIGNED", "the certificate is self-signed and not trusted")           \
  X(19, "CERT_SELF_SIGNED_IN_CHAIN",                                                               \
    "the chain ends at a self-signed certificate that is not trusted")                             \
  X(20, "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "the issuer of the certificate is not known")    \
  X(21, "CERT_UNABLE_TO_VERIFY_LEAF_SIGNATURE",                                                    \
    "the signature of the first certificate cannot be verified")                                   \
  X(22, "CERT_CHAIN_TOO_LONG", "the chain of certificates is too long")                            \
  X(23, "CERT_REVOKED", "the certificate was revoked")                                             \
  X(24, "CERT_NO_ISSUER_PUBLIC_KEY", "the issuer's certificate has no public key")                 \
  X(25, "CERT_PATH_LENGTH_EXCEEDED", "the chain is longer than one of its certificates allows")    \
  X(26, "CERT_INVALID_PURPOSE", "the certificate is not for this purpose")                         \
  X(27, "CERT_UNTRUSTED", "the root certificate is not trusted for this purpose")                  \
  X(28, "CERT_REJECTED", "the root certificate is marked as rejected")                             \
  X(29, "CERT_SUBJECT_ISSUER_MISMATCH", "subject and issuer do not fit together")                  \
  X(30, "CERT_AKID_SKID_MISMATCH", "the key identifiers do not fit together")                      \
  X(31, "CERT_AKID_ISSUER_SERIAL_MISMATCH", "the issuer and serial number do not fit together")    \
  X(32, "CERT_KEYUSAGE_NO_CERTSIGN", "the issuer may not sign certificates")                       \
  X(33, "CERT_UNABLE_TO_GET_CRL_ISSUER", "the issuer of the revocation list is not there")         \
  X(34, "CERT_UNHANDLED_CRITICAL_EXTENSION", "a critical extension is not understood")             \
  X(35, "CERT_KEYUSAGE_NO_CRL_SIGN", "the issuer may not sign revocation lists")                   \
  X(36, "CERT_UNHANDLED_CRITICAL_CRL_EXTENSION",                                                   \
    "a critical extension of the revocation list is not understood")                               \
  X(37, "CERT_INVALID_NON_CA", "a certificate that must not be a CA is one")                       \
  X(38, "CERT_PROXY_PATH_LENGTH_EXCEEDED", "the chain of proxy certificates is too long")          \
  X(39, "CERT_KEYUSAGE_NO_DIGITAL_SIGNATURE", "the key may not make signatures")                   \
  X(40, "CERT_PROXY_CERTIFICATES_NOT_ALLOWED", "proxy certificates are not allowed")               \
  X(41, "CERT_INVALID_EXTENSION", "an extension is wrong or inconsistent")                         \
  X(42, "CERT_INVALID_POLICY_EXTENSION", "a policy extension is wrong or inconsistent")            \
  X(43, "CERT_NO_EXPLICIT_POLICY", "there is no explicit policy")                                  \
  X(44, "CERT_DIFFERENT_CRL_SCOPE", "the scope of the revocation list is another")                 \
  X(45, "CERT_UNSUPPORTED_EXTENSION_FEATURE", "an extension uses what is not supported")           \
  X(46, "CERT_UNNESTED_RESOURCE", "a resource is not a part of the issuer's")                      \
  X(47, "CERT_PERMITTED_VIOLATION", "a name is not among those that the issuer may certify")       \
  X(48, "CERT_EXCLUDED_VIOLATION", "a name is among those that the issuer must not certify")       \
  X(49, "CERT_SUBTREE_MINMAX", "name constraints with a minimum or maximum are not supported")     \
  X(50, "CERT_APPLICATION_VERIFICATION", "the program refused the certificate")                    \
  X(51, "CERT_UNSUPPORTED_CONSTRAINT_TYPE", "a type of name constraint is not supported")          \
  X(52, "CERT_UNSUPPORTED_CONSTRAINT_SYNTAX", "a name constraint cannot be read")                  \
  X(53, "CERT_UNSUPPORTED_NAME_SYNTAX", "a name cannot be read")                                   \
  X(54, "CERT_CRL_PATH_VALIDATION_ERROR", "the issuer of the revocation list cannot be verified")  \
  X(55, "CERT_PATH_LOOP", "the chain goes in a circle")                                            \
  X(56, "CERT_SUITE_B_INVALID_VERSION", "Suite B: the version of the certificate is wrong")        \
  X(57, "CERT_SUITE_B_INVALID_ALGORITHM", "Suite B: the algorithm of the key is wrong")            \
  X(58, "CERT_SUITE_B_INVALID_CURVE", "Suite B: the curve is wrong")                               \
  X(59, "CERT_SUITE_B_INVALID_SIGNATURE_ALGORITHM",                                                \
    "Suite B: the algorithm of the signature is wrong")                                            \
  X(60, "CERT_SUITE_B_LOS_NOT_ALLOWED", "Suite B: the curve is not allowed at this level")         \
  X(61, "CERT_SUITE_B_CANNOT_SIGN_P_384_WITH_P_256", "Suite B: P-384 cannot be signed with P-256") \
  X(62, "CERT_HOSTNAME_MISMATCH", "the certificate is for other hosts")                            \
  X(63, "CERT_EMAIL_MISMATCH", "the certificate is for other mail addresses")                      \
  X(64, "CERT_IP_ADDRESS_MISMATCH", "the certificate is for other addresses")                      \
  X(65, "CERT_DANE_NO_MATCH", "no TLSA record matches the certificate")                            \
  X(66, "CERT_EE_KEY_TOO_SMALL", "the key of the certificate is too weak")                         \
  X(67, "CERT_CA_KEY_TOO_SMALL", "the key of an issuer is too weak")                               \
  X(68, "CERT_CA_MD_TOO_WEAK", "the digest of a signature in the chain is too weak")               \
  X(69, "CERT_INVALID_CALL", "the certificate was verified in a wrong way")                        \
  X(70, "CERT_STORE_LOOKUP", "the trusted certificates cannot be read")                            \
  X(71, "CERT_NO_VALID_SCTS", "there are no valid certificate timestamps")                         \
  X(72, "CERT_PROXY_SUBJECT_NAME_VIOLATION", "the subject of a proxy certificate is not allowed")  \
  X(73, "CERT_OCSP_VERIFY_NEEDED", "the OCSP answer is needed and not there")                      \
  X(74, "CERT_OCSP_VERIFY_FAILED", "the OCSP answer cannot be verified")                           \
  X(75, "CERT_OCSP_CERT_UNKNOWN", "the OCSP responder does not know the certificate")              \
  X(76, "CERT_UNSUPPORTED_SIGNATURE_ALGORITHM", "the algorithm of the signature is not supported") \
  X(77, "CERT_SIGNATURE_ALGORITHM_MISMATCH",                                                       \
    "the algorithm of the signature is not that of the issuer's key")                              \
  X(78, "CERT_SIGNATURE_ALGORITHM_INCONSISTENCY",                                                  \
    "the certificate names two algorithms for its signature")                                      \
  X(79, "CERT_INVALID_CA", "an issuer in the chain is not a CA")                                   \
  X(80, "CERT_PATHLEN_INVALID_FOR_NON_CA", "a path length is given, but it is not a CA")           \
  X(81, "CERT_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN",                                                   \
    "a path length is given, but it may not sign certificates")                                    \
  X(82, "CERT_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA",                                                \
    "it may sign certificates, but it is not a CA")                                                \
  X(83, "CERT_ISSUER_NAME_EMPTY", "the issuer has no name")                                        \
  X(84, "CERT_SUBJECT_NAME_EMPTY", "the subject has no name")                                      \
  X(85, "CERT_MISSING_AUTHORITY_KEY_IDENTIFIER",                                                   \
    "the identifier of the issuer's key is not there")                                             \
  X(86, "CERT_MISSING_SUBJECT_KEY_IDENTIFIER", "the identifier of the key is not there")           \
  X(87, "CERT_EMPTY_SUBJECT_ALT_NAME", "the list of alternative names is empty")                   \
  X(88, "CERT_EMPTY_SUBJECT_SAN_NOT_CRITICAL",                                                     \
    "without a subject, alternative names must be critical")                                       \
  X(89, "CERT_CA_BCONS_NOT_CRITICAL", "the basic constraints of a CA must be critical")            \
  X(90, "CERT_AUTHORITY_KEY_IDENTIFIER_CRITICAL",                                                  \
    "the authority's key identifier must not be critical")                                         \
  X(91, "CERT_SUBJECT_KEY_IDENTIFIER_CRITICAL",                                                    \
    "the subject's key identifier must not be critical")                                           \
  X(92, "CERT_CA_MISSING_KEY_USAGE", "the certificate of a CA does not say what its key is for")   \
  X(93, "CERT_EXTENSIONS_REQUIRE_VERSION_3", "extensions need a certificate of version 3")         \
  X(94, "CERT_EC_KEY_EXPLICIT_PARAMS", "the key has a curve of its own instead of a named one")    \
  X(98, "CERT_OCSP_NOT_YET_VALID", "the OCSP answer is not valid yet")                             \
  X(99, "CERT_OCSP_HAS_EXPIRED", "the OCSP answer is too old")                                     \
  X(198, "CERT_NO_PEER_CERTIFICATE", "the peer did not show a certificate")                        \
  X(199, "CERT_NOT_PINNED", "no key of the certificates is a pinned one")

#endif
