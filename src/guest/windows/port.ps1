# 0: something listens at this TCP port, in hexadecimal digits; 1: nothing.
$port = [Convert]::ToInt32($env:port, 16)
$all = [System.Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties().GetActiveTcpListeners()
if (@($all | Where-Object { $_.Port -eq $port }).Count -gt 0) { exit 0 }
exit 1
