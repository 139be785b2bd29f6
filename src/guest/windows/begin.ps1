# What every script begins with: outputs in UTF-8 without a mark, whatever the code page is.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$mosdat_utf8 = New-Object System.Text.UTF8Encoding -ArgumentList $false
# A service may have no console whose code page could be set.
try { [Console]::OutputEncoding = $mosdat_utf8 } catch { $null = $_ }
# By which programs are written to: without a mark, too.
try { [Console]::InputEncoding = $mosdat_utf8 } catch { $null = $_ }
$OutputEncoding = $mosdat_utf8
$mosdat_out = New-Object System.IO.StreamWriter -ArgumentList ([Console]::OpenStandardOutput()), $mosdat_utf8
$mosdat_err = New-Object System.IO.StreamWriter -ArgumentList ([Console]::OpenStandardError()), $mosdat_utf8
$mosdat_out.AutoFlush = $true
$mosdat_err.AutoFlush = $true
$mosdat_out.NewLine = "`n"
$mosdat_err.NewLine = "`n"
$mosdat_input = $null
