# Where programs say that they are installed: of the machine, of 32-bit programs, and of everybody who is logged on. Only these
# values are read: one that is broken makes Get-ItemProperty fail for its whole key.
function mosdat_installed {
    $leaf = 'Microsoft\Windows\CurrentVersion\Uninstall'
    $keys = @("HKLM:\SOFTWARE\$leaf", "HKLM:\SOFTWARE\WOW6432Node\$leaf")
    # .DEFAULT is no user but another name of the system's own key.
    $users = Get-ChildItem -LiteralPath 'Registry::HKEY_USERS' -ErrorAction SilentlyContinue | ForEach-Object {
        $_.PSChildName -replace '^\.DEFAULT$', 'S-1-5-18'
    }
    foreach ($user in @($users | Select-Object -Unique)) { $keys += "Registry::HKEY_USERS\$user\SOFTWARE\$leaf" }
    foreach ($key in Get-ChildItem -LiteralPath $keys -ErrorAction SilentlyContinue) {
        try {
            $entry = [pscustomobject]@{
                PSPath = $key.PSPath
                PSChildName = $key.PSChildName
                DisplayName = [string]$key.GetValue('DisplayName')
                DisplayVersion = [string]$key.GetValue('DisplayVersion')
                UninstallString = [string]$key.GetValue('UninstallString')
                QuietUninstallString = [string]$key.GetValue('QuietUninstallString')
                WindowsInstaller = $key.GetValue('WindowsInstaller')
                SystemComponent = $key.GetValue('SystemComponent')
            }
            if ($entry.DisplayName -and -not $entry.SystemComponent) { $entry }
        } catch { $null = $_ }
    }
}
# The kind of an installer, by what such a file holds in its first 16 MiB or its resources.
function mosdat_kind($file) {
    if ($file -match '\.msi$') { return 'msi' }
    $stream = [System.IO.File]::OpenRead($file)
    $most = [int][math]::Min($stream.Length, 16777216)
    $bytes = New-Object byte[] -ArgumentList $most
    $count = $stream.Read($bytes, 0, $most)
    $stream.Close()
    $text = [System.Text.Encoding]::GetEncoding(28591).GetString($bytes, 0, $count)
    if ($text.Contains('Nullsoft.NSIS') -or $text.Contains('NullsoftInst')) { return 'nsis' }
    if ($text.Contains('Inno Setup Setup Data') -or $text.Contains('JR.Inno.Setup')) { return 'inno' }
    'unknown'
}
# What makes an installer, or its way back, ask nobody anything.
$silent = @{ nsis = '/S'; inno = '/VERYSILENT /SUPPRESSMSGBOXES /NORESTART /SP-'; msi = '/qn /norestart' }
# What makes an installer that leaves the choice install for everybody: the system, which runs it, has no use of a program.
$for_all = @{ nsis = ' /allusers'; inno = ' /ALLUSERS'; msi = ' ALLUSERS=1' }
# Of one user alone: whose it is, stands in the key.
function mosdat_whose($entry) {
    if ($entry.PSPath -match 'HKEY_USERS\\(S-1-[0-9-]+)') { return $Matches[1] }
}
# Runs it to its end, without a window; its exit code.
function mosdat_start($file, $arguments) {
    $info = New-Object System.Diagnostics.ProcessStartInfo
    $info.FileName = $file
    $info.Arguments = $arguments
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $process = [System.Diagnostics.Process]::Start($info)
    $process.WaitForExit()
    $process.ExitCode
}
# One installation at a time: 1618 says that another one is under way. What is told last tells whether it was waited for when
# the time was up.
function mosdat_msi($arguments) {
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        $code = mosdat_start 'msiexec.exe' $arguments
        if ($code -ne 1618 -or $clock.ElapsedMilliseconds -gt 60000) { return $code }
        $mosdat_err.WriteLine('another installation is under way (1618)')
        Start-Sleep -Milliseconds 2000
        $mosdat_err.WriteLine('once more')
    }
}
# 3010 and 1641 say that all went well and the guest has to be started anew (Windows Installer, error codes).
function mosdat_went_well($code) { @(0, 3010, 1641) -contains $code }
