var P = "PROXY 192.168.1.2:42080", D = "DIRECT";
var L = {"linked.example.com":1,"old-site.example.net":1,"xn--bcher-kva.example.org":1};
function FindProxyForURL(url, host) {
  var h = String(host).toLowerCase(), n = h.length - 1;
  if (h.charAt(n) == ".") h = h.substring(0, n);
  if (h == "btlink" || h.substring(h.length - 7) == ".btlink") return P;
  if (url.substring(0, 7).toLowerCase() != "http://" || url.charAt(7 + String(host).length) == ":") return D;
  if (L[h] === 1) return P + "; " + D;
  if (h.length > 230 || h.indexOf(".") < 0 || h.indexOf(":") >= 0 || /^[0-9.]+$/.test(h)) return D;
  if (/\.(local|lan|home|internal|localhost|test|invalid|onion|alt|arpa)$/.test(h)) return D;
  if (/\.fritz\.box$/.test(h)) return D;
  if (/(^|\.)(google|gstatic|googleapis|youtube|ytimg|facebook|fbcdn|instagram|whatsapp|apple|icloud|microsoft|windows|windowsupdate|msftconnecttest|mozilla|firefox|amazon|cloudflare|wikipedia|netflix|digicert)\.(com|net|org)$/.test(h)) return D;
  if (dnsResolve(h + ".q.btlink.") == "198.19.66.84") return P + "; " + D;
  return D;
}
