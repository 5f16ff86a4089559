---@meta

---@alias qn.UrlMode
---| "tolerant" # repairs spaces, stray "%", non-ASCII text; the default
---| "strict" # the grammar of RFC 3986 and nothing else
---| "user_input" # what somebody typed: "example.com:80/x", "/etc/passwd", "ftp.host"; gives a tolerant URL
---| "whatwg" # the URL Standard (url.spec.whatwg.org): what browsers do

---@alias qn.UrlFormat
---| "full" # everything, as on the wire
---| "encoded" # the same
---| "human" # decoded where that changes nothing, the host in Unicode
---| "display" # the same without the password

---@class qn.UrlOptions
---@field base? string|qn.Url a relative reference is resolved against it
---@field working_dir? string mode "user_input": a relative name of a file there is that file
---@field assume_local_file? boolean with `working_dir`: it need not exist

---@class qn.UrlResolveOptions
---@field strict? boolean false: a reference with the scheme of the base counts as one without (RFC 3986 section 5.2.2); default true

---@class qn.UrlAdjustOptions
---@field remove_scheme? boolean
---@field remove_password? boolean
---@field remove_user_info? boolean user and password
---@field remove_port? boolean
---@field remove_authority? boolean user, password, host and port
---@field remove_path? boolean
---@field remove_query? boolean
---@field remove_fragment? boolean
---@field remove_filename? boolean what is behind the last "/" of the path
---@field strip_trailing_slash? boolean slashes at the end of the path go, but for the only one
---@field normalize_path? boolean dot segments are removed

---@class qn.UrlFormatOptions: qn.UrlAdjustOptions
---@field prefer_local_file? boolean the file name, for a file URL without query and fragment
---@field encode_spaces? boolean human formats: spaces stay "%20"
---@field encode_unicode? boolean human formats: non-ASCII text stays encoded
---@field encode_delimiters? boolean human formats: delimiters in user, password and fragment are encoded
---@field encode_reserved? boolean human formats: `" < > \ ^ { | }` and the backtick stay encoded (default)
---@field decode_reserved? boolean human formats: they are decoded

---@class qn.UrlQueryOptions
---@field value_delimiter? string between name and value (default "=")
---@field pair_delimiter? string between items (default "&")
---@field form? boolean as forms do: "+" is a space
---@field encoded? boolean names and values as on the wire

---@class qn.UrlAceOptions
---@field std3? boolean only letters, digits and hyphens (default true)
---@field transitional? boolean as IDNA2003 did: sharp s, final sigma, joiners are mapped (default false)

---What `url:with` changes. `false` removes a component.
---@class qn.UrlChanges
---@field scheme? string|false
---@field user? string|false plain text; without a user there is no password
---@field encoded_user? string|false
---@field password? string|false
---@field encoded_password? string|false
---@field user_info? string|false "user:password" as on the wire
---@field encoded_user_info? string|false
---@field host? string|false plain text: Unicode, an address with or without brackets; whatwg mode: may have a port
---@field encoded_host? string|false
---@field port? integer|string|false text in whatwg mode only, read as the URL Standard does
---@field authority? string|false "user:password@host:port"
---@field encoded_authority? string|false
---@field path? string|false plain text
---@field encoded_path? string|false
---@field query? string|qn.UrlQuery|false escapes in it stay
---@field encoded_query? string|false
---@field query_items? string|table|qn.UrlQuery|false what `qn.url.query` takes
---@field fragment? string|false plain text
---@field encoded_fragment? string|false
---@field protocol? string|false the setters of the URL Standard, here and below
---@field username? string|false
---@field hostname? string|false
---@field pathname? string|false
---@field search? string|false
---@field hash? string|false

---A URL: an immutable value. Fields are nil for what is absent ("?" with nothing behind it is an empty
---query, not an absent one). Plain names give decoded text, `encoded_` names give text as on the
---wire. `==`, `<` and `<=` compare normal forms (case, needless escapes, dot segments, default
---port). Two equal URLs are two keys of a table: use `url.key`. `tostring` leaves the password out,
---`url:to_string()` does not.
---
---Qt rows: URL-02 to URL-12, URL-15 to URL-20, Q5-90 to Q5-93, WEAK-34.
---@class qn.Url
---@field scheme? string in lower case
---@field user? string
---@field password? string
---@field host? string for people: Unicode, IPv6 without brackets; in whatwg mode ASCII
---@field port? integer
---@field effective_port? integer the port, or the default of the scheme
---@field path string
---@field query? string decoded, but for what would change its meaning ("%26", "%3D", "%2B", "%25" ...)
---@field fragment? string
---@field authority? string "user:password@host:port"
---@field user_info? string "user:password"
---@field encoded_user? string
---@field encoded_password? string
---@field encoded_host? string ASCII; IPv6 without brackets
---@field encoded_path string
---@field encoded_query? string
---@field encoded_fragment? string
---@field encoded_authority? string
---@field encoded_user_info? string
---@field file_name string what is behind the last "/" of the path
---@field mode qn.UrlMode
---@field is_empty boolean
---@field is_relative boolean it has no scheme
---@field is_local_file boolean the scheme is "file"
---@field is_opaque boolean whatwg mode: the path is no list of segments ("mailto:x")
---@field is_ip_literal boolean the host stands in brackets
---@field has_query boolean
---@field has_fragment boolean
---@field has_authority boolean
---@field key string the normal form as text: the same for equal URLs
---@field href string the whole URL, as the URL Standard names it
---@field origin string "scheme://host:port", or "null"
---@field protocol string the scheme and ":"
---@field username string
---@field hostname string IPv6 in brackets
---@field pathname string
---@field search string "" or "?" and the query
---@field hash string "" or "#" and the fragment
---@operator eq(qn.Url): boolean
---@operator concat(any): string
local Url = {}

---The normal form (RFC 3986 sections 6.2.2 and 6.2.3): case, needless escapes, dot segments, default
---port, the empty path behind an authority, addresses as RFC 5952 writes them.
---@return qn.Url? url
---@return qn.Error? err
function Url:normalized() end

---A reference against this URL (RFC 3986 section 5.2; in whatwg mode as the URL Standard says).
---@param reference string|qn.Url text is read in the mode of this URL
---@param opts? qn.UrlResolveOptions
---@return qn.Url? url
---@return qn.Error? err
function Url:resolve(reference, opts) end

---The file name of a file URL: "C:/x" for file:///C:/x, "//host/p" for file://host/p.
---@return string? path
---@return qn.Error? err it names no local file
function Url:local_file() end

---The URL as text. The options alone may stand first.
---@param format? qn.UrlFormat|qn.UrlFormatOptions default "full"
---@param opts? qn.UrlFormatOptions
---@return string
function Url:to_string(format, opts) end

---Another URL with some components left out or cleaned (QUrl::adjusted). One of whatwg mode without
---its scheme is of tolerant mode; the error is for a host that this mode does not take.
---@param opts qn.UrlAdjustOptions
---@return qn.Url? url
---@return qn.Error? err
function Url:adjusted(opts) end

---Whether both are equal after `adjusted` (QUrl::matches).
---@param other qn.Url
---@param opts? qn.UrlAdjustOptions
---@return boolean
function Url:matches(other, opts) end
